# SPDX-License-Identifier: Apache-2.0
"""Export of trained weights as a bundle of ONNX graphs, in single precision, half precision and int8."""
