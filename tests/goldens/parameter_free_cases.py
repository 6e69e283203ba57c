"""The parameter-free and schedule-free optimizers, and how their packages define them.

The estimate of the distance grows only where gradients agree, so gradients are not drawn
but taken from a badly scaled bowl, with noise that is the same for all. Everything is in
float64: the first steps, of 1e-6, would drown in the rounding of float32, and their errors
would grow with the estimate. talweg keeps hyperparameters in float32, so those of the cases
are exact in it: sums of few powers of two, or rounded for both.

- dadaptation's weight decay is L2 in SGD: no case has it.
- A growth of the estimate is bounded in Prodigy from the second growth on, in D-Adaptation
  from the first.

This module imports NumPy only, so that the script that records the goldens runs wherever
the packages are.
"""

import numpy as np

STEPS = 100
KEPT = (1, 2, 3, 5, 10, 20, 50, 100)
SHAPES = ((3, 4), (4,), ())
BETA_2 = 1 - 2.0**-10
TINY = 2.0**-20
BETAS = {"beta_1": 0.875, "beta_2": BETA_2}
THEIRS = {"betas": (0.875, BETA_2)}
# The defaults as talweg keeps them.
ROUNDED = {
    "betas": (float(np.float32(0.9)), float(np.float32(0.999))),
    "eps": float(np.float32(1e-8)),
    "d0": float(np.float32(1e-6)),
}

# case: (talweg's class and options, the package, its class and options, factors of the rate)
CASES = {
    "prodigy": ("Prodigy", {}, "prodigyopt", "Prodigy", ROUNDED, None),
    "prodigy_steady": (
        "Prodigy", {**BETAS, "d0": TINY, "epsilon": TINY},
        "prodigyopt", "Prodigy", {**THEIRS, "d0": TINY, "eps": TINY}, None,
    ),
    "prodigy_corrected": (
        "Prodigy",
        {**BETAS, "d0": TINY, "use_bias_correction": True, "beta_3": 0.9375, "d_coef": 2.0},
        "prodigyopt", "Prodigy",
        {**THEIRS, "d0": TINY, "use_bias_correction": True, "beta3": 0.9375, "d_coef": 2.0},
        None,
    ),
    "prodigy_decay": (
        "Prodigy",
        {
            **BETAS, "d0": TINY, "learning_rate": 0.5, "weight_decay": 0.125,
            "safeguard_warmup": True,
        },
        "prodigyopt", "Prodigy",
        {**THEIRS, "d0": TINY, "lr": 0.5, "weight_decay": 0.125, "safeguard_warmup": True},
        None,
    ),
    "prodigy_bounded": (
        "Prodigy", {**BETAS, "d0": 2.0**-10, "growth_rate": 1.0625},
        "prodigyopt", "Prodigy", {**THEIRS, "d0": 2.0**-10, "growth_rate": 1.0625}, None,
    ),
    "dadapt_sgd": ("DAdaptSGD", {"d0": TINY}, "dadaptation", "DAdaptSGD", {"d0": TINY}, None),
    "dadapt_sgd_momentum": (
        "DAdaptSGD", {"momentum": 0.875, "learning_rate": 0.5, "d0": TINY},
        "dadaptation", "DAdaptSGD", {"momentum": 0.875, "lr": 0.5, "d0": TINY}, None,
    ),
    "dadapt_sgd_bounded": (
        "DAdaptSGD", {"momentum": 0.5, "d0": 2.0**-10, "growth_rate": 1.125},
        "dadaptation", "DAdaptSGD", {"momentum": 0.5, "d0": 2.0**-10, "growth_rate": 1.125}, None,
    ),
    "dadapt_adam": ("DAdaptAdam", {}, "dadaptation", "DAdaptAdam", ROUNDED, None),
    "dadapt_adam_steady": (
        "DAdaptAdam", {**BETAS, "d0": TINY, "epsilon": TINY},
        "dadaptation", "DAdaptAdam", {**THEIRS, "d0": TINY, "eps": TINY}, None,
    ),
    "dadapt_adam_decay": (
        "DAdaptAdam",
        {**BETAS, "d0": TINY, "weight_decay": 0.125, "use_bias_correction": True},
        "dadaptation", "DAdaptAdam",
        {
            **THEIRS, "d0": TINY, "weight_decay": 0.125, "decouple": True,
            "use_bias_correction": True,
        },
        None,
    ),
    "dadapt_adam_bounded": (
        "DAdaptAdam", {**BETAS, "d0": 2.0**-10, "growth_rate": 1.0625},
        "dadaptation", "DAdaptAdam", {**THEIRS, "d0": 2.0**-10, "growth_rate": 1.0625}, None,
    ),
    "dadapt_adam_parts": (
        "DAdaptAdam", {**BETAS, "d0": TINY},
        "dadaptation", "DAdaptAdam", {**THEIRS, "d0": TINY}, (1.0, 0.25, 0.5),
    ),
    "schedule_free_sgd": (
        "ScheduleFreeSGD", {"learning_rate": 0.125},
        "schedulefree", "SGDScheduleFree", {"lr": 0.125}, None,
    ),
    "schedule_free_sgd_warm": (
        "ScheduleFreeSGD",
        {"learning_rate": 0.125, "momentum": 0.75, "warmup_steps": 16, "weight_decay": 0.0625},
        "schedulefree", "SGDScheduleFree",
        {"lr": 0.125, "momentum": 0.75, "warmup_steps": 16, "weight_decay": 0.0625}, None,
    ),
    "schedule_free_adamw": (
        "ScheduleFreeAdamW", {}, "schedulefree", "AdamWScheduleFree", {}, None,
    ),
    "schedule_free_adamw_warm": (
        "ScheduleFreeAdamW",
        {
            **BETAS, "learning_rate": 0.03125, "warmup_steps": 10, "weight_decay": 0.125,
            "epsilon": 2.0**-10,
        },
        "schedulefree", "AdamWScheduleFree",
        {**THEIRS, "lr": 0.03125, "warmup_steps": 10, "weight_decay": 0.125, "eps": 2.0**-10},
        None,
    ),
    "schedule_free_adamw_reference": (
        "ScheduleFreeAdamW", {**BETAS, "learning_rate": 0.03125, "warmup_steps": 10},
        "schedulefree", "AdamWScheduleFreeReference",
        {**THEIRS, "lr": 0.03125, "warmup_steps": 10}, None,
    ),
}  # fmt: skip


def start() -> list[np.ndarray]:
    """The first parameters."""
    rng = np.random.default_rng(13)
    return [rng.normal(size=shape) for shape in SHAPES]


def bowl() -> list[tuple[np.ndarray, np.ndarray]]:
    """How steep it is for each parameter, and where it is lowest."""
    rng = np.random.default_rng(17)
    return [(10 ** rng.uniform(-1, 0.5, size=s), 2 * rng.normal(size=s)) for s in SHAPES]


def noise(step: int) -> list[np.ndarray]:
    """What is added to the gradients of a step, from 1."""
    rng = np.random.default_rng(1000 + step)
    return [np.asarray(0.1 * rng.normal(size=s)) for s in SHAPES]


def gradients(params: list[np.ndarray], step: int) -> list[np.ndarray]:
    """Those of the bowl, with the noise of the step."""
    return [
        np.asarray(steep * (np.asarray(p, "float64") - lowest) + added)
        for p, (steep, lowest), added in zip(params, bowl(), noise(step), strict=True)
    ]


def flat(params: list[np.ndarray]) -> np.ndarray:
    """All parameters of a step in one row."""
    return np.concatenate([np.asarray(p, "float64").ravel() for p in params])
