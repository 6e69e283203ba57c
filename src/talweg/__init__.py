"""talweg trains neural networks and keeps the descent under its user's control."""

import gc

# What imports make stays: to look through it again and again for garbage costs a sixth of a
# short program's time (0.15 of 1.3 s), most of it while JAX traces and compiles.
_collects = gc.isenabled()
gc.disable()

try:
    from talweg import (
        activations,
        adapters,
        backend,
        callbacks,
        config,
        constraints,
        datasets,
        dtype_policies,
        initializers,
        layers,
        losses,
        metrics,
        mixed_precision,
        models,
        ops,
        optimizers,
        preprocessing,
        random,
        regularizers,
        saving,
        tree,
        utils,
    )
    from talweg.core.absent import refusing
    from talweg.core.devices import device
    from talweg.core.dtypes import DTypePolicy, FloatDTypePolicy
    from talweg.core.errors import NonFiniteError
    from talweg.core.names import name_scope
    from talweg.core.stateless import StatelessScope
    from talweg.core.variables import Variable
    from talweg.initializers import Initializer
    from talweg.layers import Input, InputSpec, Layer
    from talweg.layers.rematerialization import RematScope, remat
    from talweg.losses import Loss
    from talweg.metrics import Metric
    from talweg.models import Model, Sequential
    from talweg.models.function import Function
    from talweg.ops.keras_tensor import KerasTensor
    from talweg.optimizers import Optimizer, schedules
    from talweg.regularizers import Regularizer
    from talweg.search import Comparison, advise, compare, find_learning_rate
finally:
    if _collects:
        gc.enable()
gc.freeze()

__version__ = "0.1.0"

__all__ = [
    "Comparison",
    "DTypePolicy",
    "FloatDTypePolicy",
    "Function",
    "Initializer",
    "Input",
    "InputSpec",
    "KerasTensor",
    "Layer",
    "Loss",
    "Metric",
    "Model",
    "NonFiniteError",
    "Optimizer",
    "Regularizer",
    "RematScope",
    "Sequential",
    "StatelessScope",
    "Variable",
    "activations",
    "adapters",
    "advise",
    "backend",
    "callbacks",
    "compare",
    "config",
    "constraints",
    "datasets",
    "device",
    "dtype_policies",
    "find_learning_rate",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "mixed_precision",
    "models",
    "name_scope",
    "ops",
    "optimizers",
    "preprocessing",
    "random",
    "regularizers",
    "remat",
    "saving",
    "schedules",
    "tree",
    "utils",
]

__getattr__ = refusing(__name__)
