# SPDX-License-Identifier: Apache-2.0
"""Fine-tuning of open image editors: a LoRA on their denoiser."""
