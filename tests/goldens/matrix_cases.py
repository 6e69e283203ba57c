"""The matrix methods as pytorch_optimizer has them, with the options under which they agree.

Where the definitions differ:
- SOAP: there, weights decay after the step, and not in the first; so without decay here.
- Shampoo: pytorch_optimizer has the one of the paper (sums, epsilon from the start) and
  Google's (`ScalableShampoo`: momentum after the roots, no correction for bias, grafting over
  the whole tensor); talweg follows Meta's. They agree for sums without momentum.
- Muon: iterates in bfloat16; the script makes it float32. Its weights are (outputs, inputs), so
  that Jordan's factor is 1 where there are no more rows than columns.

This module imports NumPy only, so that the script that records the goldens runs wherever
PyTorch is.
"""

import numpy as np

STEPS = 100
KEPT = (1, 2, 3, 5, 10, 11, 12, 20, 50, 100)
MATRICES = ((3, 4), (4, 3), (4,), (3, 2, 4))
WIDE = ((3, 5), (4, 4), (2, 6))

_SOAP = {"learning_rate": 0.003, "weight_decay": None}
_SHAMPOO = {
    "learning_rate": 0.05,
    "beta_1": 0.0,
    "beta_2": 1.0,
    "epsilon": 1e-4,
    "precondition_frequency": 1,
    "merge_dims": False,
    "grafting": None,
}
_SCALABLE = {
    "lr": 0.05,
    "betas": (0.0, 1.0),
    "moving_average_for_momentum": False,
    "start_preconditioning_step": 1,
    "preconditioning_compute_steps": 1,
    "shape_interpretation": False,
    "graft_type": 0,
    "nesterov": False,
    "matrix_eps": 1e-4,
    "use_svd": True,
}

# case: (talweg's class and options, pytorch_optimizer's class and options, shapes)
CASES = {
    "soap": ("SOAP", _SOAP, "SOAP", {"weight_decay": 0.0}, MATRICES),
    "soap_vectors_often": (
        "SOAP",
        {**_SOAP, "precondition_1d": True, "precondition_frequency": 3, "shampoo_beta": 0.8},
        "SOAP",
        {
            "weight_decay": 0.0,
            "precondition_1d": True,
            "precondition_frequency": 3,
            "shampoo_beta": 0.8,
        },
        ((3, 4), (1,), (2, 3, 2)),
    ),
    "soap_one_sided": (
        "SOAP",
        {**_SOAP, "beta_1": 0.9, "beta_2": 0.99, "max_precondition_dim": 3},
        "SOAP",
        {"betas": (0.9, 0.99), "weight_decay": 0.0, "max_precondition_dim": 3},
        MATRICES,
    ),
    "soap_merged": (
        "SOAP",
        {**_SOAP, "merge_dims": True, "max_precondition_dim": 6, "normalize_grads": True},
        "SOAP",
        {
            "weight_decay": 0.0,
            "merge_dims": True,
            "max_precondition_dim": 6,
            "normalize_gradient": True,
        },
        ((2, 3, 5), (4, 3)),
    ),
    "soap_uncorrected": (
        "SOAP",
        {**_SOAP, "correct_bias": False, "epsilon": 1e-3},
        "SOAP",
        {"weight_decay": 0.0, "correct_bias": False, "eps": 1e-3},
        ((3, 4),),
    ),
    "shampoo": (
        "Shampoo",
        _SHAMPOO,
        "Shampoo",
        {"lr": 0.05, "matrix_eps": 1e-4},
        ((3, 4), (3,), (2, 3, 4)),
    ),
    "shampoo_blocks": (
        "Shampoo",
        {**_SHAMPOO, "block_size": 2},
        "ScalableShampoo",
        {**_SCALABLE, "block_size": 2},
        ((6, 4), (2, 4, 2)),
    ),
    "shampoo_grafted": (
        "Shampoo",
        {**_SHAMPOO, "grafting": "sgd"},
        "ScalableShampoo",
        {**_SCALABLE, "graft_type": 1},
        ((3, 4), (4, 3)),
    ),
    "muon": (
        "Muon",
        {"learning_rate": 0.02, "weight_decay": None, "rms_rate": None},
        "Muon",
        {"lr": 0.02},
        WIDE,
    ),
    "muon_moonlight": (
        "Muon",
        {"learning_rate": 0.02, "weight_decay": 0.1, "nesterov": False},
        "Muon",
        {"lr": 0.02, "weight_decay": 0.1, "nesterov": False, "use_adjusted_lr": True},
        WIDE,
    ),
}


def problem(shapes: tuple) -> tuple[list[np.ndarray], list[list[np.ndarray]]]:
    """First parameters, and the gradients of all steps."""
    rng = np.random.default_rng(13)
    params = [rng.normal(size=shape).astype("float32") for shape in shapes]
    grads = [
        [
            (10 ** rng.uniform(-0.5, 0.5) * rng.normal(size=shape)).astype("float32")
            for shape in shapes
        ]
        for _ in range(STEPS)
    ]
    return params, grads


def flat(params: list[np.ndarray]) -> np.ndarray:
    """All parameters of a step in one row."""
    return np.concatenate([np.asarray(p, "float32").ravel() for p in params])
