"""The modern optimizers as PyTorch or pytorch_optimizer define them, and how they differ.

- RAdam: both packages add epsilon to the uncorrected root. At 1e-12 it does not matter.
  pytorch_optimizer waits by default, as the authors' code does.
- ASGD: PyTorch's decay of weights is L2; what is recorded is the average, too.
- MARS: scalars and vectors follow Adam with a rate of their own, `lr_1d`, and are decayed
  by 0.1 by default; talweg has one decay for all.
- Adan, AdEMAMix: `weight_decouple=True` is talweg's decay; Adan's default divides by
  1 + rate wd afterwards.

This module imports NumPy only, so that the script that records the goldens runs wherever
PyTorch is.
"""

from goldens.torch_cases import KEPT, STEPS, flat, problem

__all__ = ["CASES", "KEPT", "STEPS", "flat", "problem"]

# case: (talweg's class and options, the package, its class and options)
CASES = {
    "rprop": ("Rprop", {"learning_rate": 0.02}, "torch", "Rprop", {"lr": 0.02}),
    "rprop_limits": (
        "Rprop",
        {"learning_rate": 0.02, "shrink": 0.3, "grow": 1.5, "step_min": 0.01, "step_max": 0.05},
        "torch", "Rprop", {"lr": 0.02, "etas": (0.3, 1.5), "step_sizes": (0.01, 0.05)},
    ),
    "asgd": (
        "ASGD", {"learning_rate": 0.01, "lambd": 0.01, "t0": 20},
        "torch", "ASGD", {"lr": 0.01, "lambd": 0.01, "t0": 20},
    ),
    "asgd_defaults": ("ASGD", {}, "torch", "ASGD", {}),
    "radam": (
        "RAdam", {"learning_rate": 0.003, "epsilon": 1e-12},
        "torch", "RAdam", {"lr": 0.003, "eps": 1e-12},
    ),
    "radam_long": (
        "RAdam", {"learning_rate": 0.003, "beta_2": 0.9999, "epsilon": 1e-12},
        "torch", "RAdam", {"lr": 0.003, "betas": (0.9, 0.9999), "eps": 1e-12},
    ),
    "radam_decay": (
        "RAdam", {"learning_rate": 0.003, "beta_2": 0.99, "weight_decay": 0.1, "epsilon": 1e-12},
        "torch", "RAdam",
        {
            "lr": 0.003, "betas": (0.9, 0.99), "weight_decay": 0.1, "eps": 1e-12,
            "decoupled_weight_decay": True,
        },
    ),
    "radam_waiting": (
        "RAdam", {"learning_rate": 0.003, "degenerated_to_sgd": False, "epsilon": 1e-12},
        "pytorch_optimizer", "RAdam", {"lr": 0.003, "eps": 1e-12},
    ),
    "adan": ("Adan", {"learning_rate": 0.003}, "pytorch_optimizer", "Adan", {"lr": 0.003}),
    "adan_decay": (
        "Adan", {"learning_rate": 0.003, "beta_2": 0.7, "weight_decay": 0.1, "epsilon": 1e-3},
        "pytorch_optimizer", "Adan",
        {
            "lr": 0.003, "betas": (0.98, 0.7, 0.99), "weight_decay": 0.1, "eps": 1e-3,
            "weight_decouple": True,
        },
    ),
    "ademamix": (
        "AdEMAMix", {"learning_rate": 0.003}, "pytorch_optimizer", "AdEMAMix", {"lr": 0.003},
    ),
    "ademamix_warmup": (
        "AdEMAMix",
        {"learning_rate": 0.003, "alpha": 8.0, "alpha_warmup": 60, "beta_3_warmup": 60},
        "pytorch_optimizer", "AdEMAMix", {"lr": 0.003, "alpha": 8.0, "t_alpha_beta3": 60},
    ),
    "mars": (
        "MARS", {}, "pytorch_optimizer", "MARS", {"weight_decay_1d": 0.0},
    ),
    "mars_all": (
        "MARS", {"learning_rate": 0.01, "gamma": 0.05, "optimize_1d": True, "weight_decay": 0.1},
        "pytorch_optimizer", "MARS",
        {"lr": 0.01, "gamma": 0.05, "optimize_1d": True, "weight_decay": 0.1},
    ),
    "mars_vectors": (
        "MARS", {"adam_lr_ratio": 0.5, "adam_beta_1": 0.8, "adam_beta_2": 0.9},
        "pytorch_optimizer", "MARS",
        {"lr_1d": 0.0015, "betas_1d": (0.8, 0.9), "weight_decay_1d": 0.0},
    ),
    "adabelief": (
        "AdaBelief", {"learning_rate": 0.003}, "pytorch_optimizer", "AdaBelief", {"lr": 0.003},
    ),
    "adabelief_epsilon": (
        "AdaBelief", {"learning_rate": 0.003, "epsilon": 1e-4, "weight_decay": 0.1},
        "pytorch_optimizer", "AdaBelief", {"lr": 0.003, "eps": 1e-4, "weight_decay": 0.1},
    ),
    "novograd": (
        "NovoGrad", {"learning_rate": 0.003},
        "pytorch_optimizer", "NovoGrad",
        {"lr": 0.003, "betas": (0.95, 0.98), "grad_averaging": False},
    ),
}  # fmt: skip
