"""The optimizers that PyTorch defines as Keras does, with the options under which they agree.

Where the definitions differ:
- Adam, Adagrad, RMSprop, NAdam: PyTorch adds epsilon beside another root (Adam: corrected
  for bias; Adagrad and RMSprop: outside, where Keras's is inside). At 1e-12 it does not
  matter.
- NAdam: Keras's momentum schedule is PyTorch's with `momentum_decay=1` in place of 0.004.
- Weight decay: PyTorch's Adam and SGD add it to the gradient; AdamW decays as Keras does.
- SGD, RMSprop: PyTorch multiplies the momentum by the present rate, Keras keeps the rate of
  each step inside it. They agree while the rate is constant.
- Clipping by the joint norm: PyTorch adds 1e-6 to the norm.

This module imports NumPy only, so that the script that records the goldens runs wherever
PyTorch is.
"""

import numpy as np

STEPS = 100
KEPT = (1, 2, 3, 5, 10, 20, 50, 100)
SHAPES = ((3, 4), (4,), ())

# case: (talweg's class and options, PyTorch's class and options, clipping in PyTorch)
CASES = {
    "sgd": ("SGD", {"learning_rate": 0.01}, "SGD", {"lr": 0.01}, None),
    "sgd_momentum": (
        "SGD", {"learning_rate": 0.01, "momentum": 0.9},
        "SGD", {"lr": 0.01, "momentum": 0.9}, None,
    ),
    "sgd_nesterov": (
        "SGD", {"learning_rate": 0.01, "momentum": 0.9, "nesterov": True},
        "SGD", {"lr": 0.01, "momentum": 0.9, "nesterov": True}, None,
    ),
    "sgd_clipvalue": (
        "SGD", {"learning_rate": 0.01, "clipvalue": 0.5},
        "SGD", {"lr": 0.01}, ("value", 0.5),
    ),
    "sgd_global_clipnorm": (
        "SGD", {"learning_rate": 0.01, "global_clipnorm": 2.0},
        "SGD", {"lr": 0.01}, ("norm", 2.0),
    ),
    "rmsprop": (
        "RMSprop", {"learning_rate": 0.003, "rho": 0.8, "epsilon": 1e-12},
        "RMSprop", {"lr": 0.003, "alpha": 0.8, "eps": 1e-12}, None,
    ),
    "rmsprop_momentum": (
        "RMSprop", {"learning_rate": 0.003, "momentum": 0.5, "epsilon": 1e-12},
        "RMSprop", {"lr": 0.003, "alpha": 0.9, "momentum": 0.5, "eps": 1e-12}, None,
    ),
    "rmsprop_centered": (
        "RMSprop", {"learning_rate": 0.003, "centered": True, "epsilon": 1e-12},
        "RMSprop", {"lr": 0.003, "alpha": 0.9, "centered": True, "eps": 1e-12}, None,
    ),
    "adam": (
        "Adam", {"learning_rate": 0.003, "epsilon": 1e-12},
        "Adam", {"lr": 0.003, "eps": 1e-12}, None,
    ),
    "adam_amsgrad": (
        "Adam", {"learning_rate": 0.003, "beta_1": 0.8, "amsgrad": True, "epsilon": 1e-12},
        "Adam", {"lr": 0.003, "betas": (0.8, 0.999), "amsgrad": True, "eps": 1e-12}, None,
    ),
    "adam_weight_decay": (
        "Adam", {"learning_rate": 0.003, "weight_decay": 0.1, "epsilon": 1e-12},
        "AdamW", {"lr": 0.003, "weight_decay": 0.1, "eps": 1e-12}, None,
    ),
    "adagrad": (
        "Adagrad", {"learning_rate": 0.05, "epsilon": 1e-12},
        "Adagrad", {"lr": 0.05, "initial_accumulator_value": 0.1, "eps": 1e-12}, None,
    ),
    "nadam": (
        "Nadam", {"learning_rate": 0.003, "beta_2": 0.99, "epsilon": 1e-12},
        "NAdam", {"lr": 0.003, "betas": (0.9, 0.99), "momentum_decay": 1.0, "eps": 1e-12}, None,
    ),
}  # fmt: skip


def problem() -> tuple[list[np.ndarray], list[list[np.ndarray]]]:
    """First parameters, and the gradients of all steps."""
    rng = np.random.default_rng(11)
    params = [rng.normal(size=shape).astype("float32") for shape in SHAPES]
    grads = [
        [
            np.float32(10 ** rng.uniform(-1, 1)) * rng.normal(size=s).astype("float32")
            for s in SHAPES
        ]
        for _ in range(STEPS)
    ]
    return params, [[np.asarray(g, "float32") for g in step] for step in grads]


def flat(params: list[np.ndarray]) -> np.ndarray:
    """All parameters of a step in one row."""
    return np.concatenate([np.asarray(p, "float32").ravel() for p in params])
