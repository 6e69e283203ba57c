"""Schedules of PyTorch by case, as data: what `make_schedules.py` records.

A scheduler is (class, options); the options of SequentialLR and ChainedScheduler hold
schedulers. The same cases in talweg are in tests/schedules/test_more_schedules.py.
"""

from typing import Any

STEPS = 1200
RATE = 0.1

# What torch's cycles do to the momentum, recorded as "<case>/momentum".
CYCLE = {"base_momentum": 0.85, "max_momentum": 0.95}
TRIANGLES = {"base_lr": 0.01, "max_lr": 0.3, "step_size_up": 70, "step_size_down": 130, **CYCLE}
LINE = ("LinearLR", {"start_factor": 0.25, "end_factor": 1.0, "total_iters": 200})

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "one_cycle": ("OneCycleLR", {"max_lr": 0.5, "total_steps": STEPS, **CYCLE}),
    "one_cycle_linear": (
        "OneCycleLR",
        {
            "max_lr": 0.5,
            "total_steps": STEPS,
            "pct_start": 0.21,
            "anneal_strategy": "linear",
            "div_factor": 10.0,
            "final_div_factor": 100.0,
            **CYCLE,
        },
    ),
    "one_cycle_three_phase": (
        "OneCycleLR",
        {"max_lr": 0.5, "total_steps": STEPS, "three_phase": True, **CYCLE},
    ),
    "one_cycle_three_phase_linear": (
        "OneCycleLR",
        {
            "max_lr": 0.5,
            "total_steps": STEPS,
            "pct_start": 0.4,
            "anneal_strategy": "linear",
            "three_phase": True,
            **CYCLE,
        },
    ),
    "triangular": ("CyclicLR", {**TRIANGLES, "mode": "triangular"}),
    "triangular2": ("CyclicLR", {**TRIANGLES, "mode": "triangular2"}),
    "exp_range": ("CyclicLR", {**TRIANGLES, "mode": "exp_range", "gamma": 0.997}),
    "step": ("StepLR", {"step_size": 130, "gamma": 0.3}),
    "multi_step": ("MultiStepLR", {"milestones": [100, 101, 700], "gamma": 0.2}),
    "restarts": ("CosineAnnealingWarmRestarts", {"T_0": 90, "T_mult": 1, "eta_min": 0.001}),
    "restarts_longer": ("CosineAnnealingWarmRestarts", {"T_0": 30, "T_mult": 2}),
    "restarts_three": ("CosineAnnealingWarmRestarts", {"T_0": 10, "T_mult": 3, "eta_min": 0.01}),
    "linear": LINE,
    "sequential": (
        "SequentialLR",
        {
            "schedulers": [LINE, ("CosineAnnealingLR", {"T_max": 1000})],
            "milestones": [200],
        },
    ),
    "sequential_three": (
        "SequentialLR",
        {
            "schedulers": [
                LINE,
                ("ConstantLR", {"factor": 1.0, "total_iters": 1}),
                ("StepLR", {"step_size": 100, "gamma": 0.5}),
            ],
            "milestones": [250, 600],
        },
    ),
    "chained": (
        "ChainedScheduler",
        {"schedulers": [LINE, ("StepLR", {"step_size": 130, "gamma": 0.7})]},
    ),
    "chained_exponential": (
        "ChainedScheduler",
        {"schedulers": [LINE, ("ExponentialLR", {"gamma": 0.995})]},
    ),
}
