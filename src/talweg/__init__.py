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
        constraints,
        datasets,
        initializers,
        layers,
        losses,
        metrics,
        models,
        ops,
        optimizers,
        random,
        regularizers,
        saving,
        utils,
    )
    from talweg.core.dtypes import DTypePolicy
    from talweg.core.errors import NonFiniteError
    from talweg.core.variables import Variable
    from talweg.layers import Input, InputSpec, Layer
    from talweg.losses import Loss
    from talweg.metrics import Metric
    from talweg.models import Model, Sequential
    from talweg.ops.keras_tensor import KerasTensor
    from talweg.optimizers import Optimizer, schedules
    from talweg.search import Comparison, advise, compare, find_learning_rate
finally:
    if _collects:
        gc.enable()
gc.freeze()

__version__ = "0.1.0"

__all__ = [
    "Comparison",
    "DTypePolicy",
    "Input",
    "InputSpec",
    "KerasTensor",
    "Layer",
    "Loss",
    "Metric",
    "Model",
    "NonFiniteError",
    "Optimizer",
    "Sequential",
    "Variable",
    "activations",
    "adapters",
    "advise",
    "backend",
    "callbacks",
    "compare",
    "constraints",
    "datasets",
    "find_learning_rate",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "random",
    "regularizers",
    "saving",
    "schedules",
    "utils",
]
