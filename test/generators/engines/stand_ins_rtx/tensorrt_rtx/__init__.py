# SPDX-License-Identifier: Apache-2.0
"""The stand-in for TensorRT with what TensorRT-RTX has besides. STAND_IN_NOT_CAPTURABLE: its streams
cannot be captured."""

import os
from enum import IntEnum
from types import SimpleNamespace

import tensorrt as _trt
from tensorrt import (  # noqa: F401
    ILogger,
    IProgressMonitor,
    NetworkDefinitionCreationFlag,
    OnnxParser,
    TensorIOMode,
    nptype,
)

__version__ = "1.7.1.116"
built_for = []  # compute capabilities, one list a build; empty is portable


class BuilderFlag(IntEnum):
    TF32 = 7
    REQUIRE_USER_ALLOCATION = 21


class ComputeCapability(IntEnum):
    SM75, SM86 = 75, 86


class DynamicShapesKernelSpecializationStrategy(IntEnum):
    LAZY, EAGER, NONE = range(3)


class _Config(_trt._Config):
    __slots__ = ("num_compute_capabilities", "capabilities")
    _flag = BuilderFlag

    def __init__(self):
        super().__init__()
        self.capabilities = []

    def set_compute_capability(self, capability, index):
        assert index < self.num_compute_capabilities
        self.capabilities.append(capability)


class Builder(_trt.Builder):
    def __init__(self, logger):
        self._logger = logger  # needs no GPU

    def create_builder_config(self):
        return _Config()

    def build_serialized_network(self, network, config):
        built_for.append([capability.name for capability in config.capabilities])
        return super().build_serialized_network(network, config)


class Runtime(_trt.Runtime):
    def deserialize_cuda_engine(self, data):
        engine = super().deserialize_cuda_engine(data)
        engine.__class__ = _Engine
        return engine


class _Engine(_trt._Engine):
    def create_runtime_config(self):
        lazy = DynamicShapesKernelSpecializationStrategy.LAZY
        return SimpleNamespace(dynamic_shapes_kernel_specialization_strategy=lazy)

    def create_execution_context(self, config=None):
        context = super().create_execution_context()
        context.__class__ = _Context
        strategy = (
            DynamicShapesKernelSpecializationStrategy.LAZY
            if config is None
            else config.dynamic_shapes_kernel_specialization_strategy
        )
        context.eager = strategy == DynamicShapesKernelSpecializationStrategy.EAGER
        return context


class _Context(_trt._Context):
    def is_stream_capturable(self, stream):
        return self.eager and not os.environ.get("STAND_IN_NOT_CAPTURABLE")
