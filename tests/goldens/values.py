"""One golden value for each optimizer and schedule: the only line that a new one adds here.

They come from the formula of the paper, computed by hand or in plain Python.
"""

from talweg.optimizers import SGD, Steps
from talweg.optimizers.schedules import Linear

# The gradients of the three steps; the parameter starts at 1.
GRADIENTS = (1.0, -0.5, 0.25)

DESCENT = {"class_name": "SGD", "config": {"learning_rate": 0.1}}
HEAVY = {"class_name": "SGD", "config": {"learning_rate": 0.1, "momentum": 0.9}}

# optimizer: (options, the parameter after each step)
OPTIMIZERS = {
    "SGD": ({"learning_rate": 0.1, "momentum": 0.9}, (0.9, 0.86, 0.799)),
    "RMSprop": ({"learning_rate": 0.1}, (0.6837724, 0.8312143, 0.7557507)),
    "Adam": ({"learning_rate": 0.1}, (0.9000003, 0.8733667, 0.8393239)),
    "Adagrad": ({"learning_rate": 0.1}, (0.9046537, 0.9476869, 0.9266517)),
    "Nadam": ({"learning_rate": 0.1}, (0.8937212, 0.9329808, 0.906647)),
    "AdamW": ({"learning_rate": 0.1, "weight_decay": 0.1}, (0.8900003, 0.8544667, 0.8118792)),
    "Adamax": ({"learning_rate": 0.1}, (0.9, 0.8789263, 0.856372)),
    "Adadelta": ({"learning_rate": 1.0, "epsilon": 0.01}, (0.5917517, 0.8476349, 0.7102073)),
    "Adafactor": ({"learning_rate": 0.1}, (0.9, 0.9596438, 0.9195929)),
    "Ftrl": (
        {"learning_rate": 0.1, "l1_regularization_strength": 0.5},
        (0.5554693, 0.5985024, 0.5774673),
    ),
    "Lion": ({"learning_rate": 0.1}, (0.9, 1.0, 0.9)),
    "Lamb": ({"learning_rate": 0.1}, (0.9, 0.81, 0.729)),
    "Adan": ({"learning_rate": 0.1}, (0.9, 0.93159, 0.9289491)),
    "AdEMAMix": ({"learning_rate": 0.1}, (0.89995, 0.8732847, 0.8391851)),
    "ADOPT": ({"learning_rate": 0.1}, (1.0, 1.005, 1.0069999)),
    "AdaBelief": ({"learning_rate": 0.1}, (0.8888889, 0.8605188, 0.8239486)),
    "RAdam": ({"learning_rate": 0.1}, (0.9, 0.8789474, 0.8564381)),
    "AMSGrad": ({"learning_rate": 0.1}, (0.9, 0.8733663, 0.8393234)),
    "Yogi": ({"learning_rate": 0.1}, (0.9001498, 0.873571, 0.8396215)),
    "NovoGrad": ({"learning_rate": 0.1}, (0.9, 0.8553793, 0.7875607)),
    "LARS": ({"learning_rate": 10.0}, (0.99, 0.9909, 0.981801)),
    "Rprop": ({"learning_rate": 0.1}, (0.9, 0.9, 0.85)),
    "ASGD": ({"learning_rate": 0.1}, (0.89999, 0.9499806, 0.9249715)),
    "MARS": ({"learning_rate": 0.1, "optimize_1d": True}, (0.9, 0.9025641, 0.8804846)),
    "Muon": ({"learning_rate": 0.1}, (0.8996003, 0.8726068, 0.838215)),
    "SOAP": ({"learning_rate": 0.1}, (0.999, 1.098001, 1.1263204)),
    "Shampoo": (
        {"learning_rate": 0.1, "precondition_frequency": 1, "grafting": None},
        (0.9, 0.8733663, 0.8393234),
    ),
    "Kron": (
        {"learning_rate": 0.1, "max_probability": 0.0, "min_probability": 0.0},
        (0.9136619, 0.8928679, 0.8706631),
    ),
    "Prodigy": ({"d0": 0.25, "beta_1": 0.5, "beta_2": 0.75}, (0.75, 0.75, 0.6806625)),
    "DAdaptSGD": ({"d0": 0.1, "momentum": 0.9}, (0.99, 0.986, 0.9799)),
    "DAdaptAdam": ({"d0": 0.25, "beta_1": 0.5, "beta_2": 0.75}, (0.75, 0.75, 0.6806625)),
    "ScheduleFreeSGD": ({"learning_rate": 0.1}, (0.9, 0.9275, 0.925)),
    "ScheduleFreeAdamW": ({"learning_rate": 0.1, "beta_2": 0.75}, (0.9, 0.9363791, 0.9294301)),
    # Those that look at the loss: on (p - 3)² / 2.
    "Sophia": (
        {"learning_rate": 0.1, "beta_2": 0.0, "gamma": 4.0},
        (1.1, 1.1487277, 1.1966109),
    ),
    "LBFGS": ({}, (2.0, 3.0, 3.0)),
    "SAM": ({"inner_optimizer": DESCENT, "rho": 0.5}, (1.25, 1.475, 1.6775)),
    # Those that take the steps of others.
    "Cautious": ({"inner_optimizer": HEAVY}, (0.9, 0.9, 0.839)),
    "Lookahead": ({"inner_optimizer": DESCENT, "steps": 2}, (0.9, 0.975, 0.95)),
    "Ranger": ({"learning_rate": 0.1, "steps": 2}, (0.9, 0.9384615, 0.9147104)),
    "EMA": ({"inner_optimizer": DESCENT}, (0.9, 0.95, 0.925)),
    "SWA": ({"inner_optimizer": DESCENT, "start": 2}, (0.9, 0.95, 0.925)),
    "GradientAccumulation": ({"inner_optimizer": DESCENT, "steps": 2}, (1.0, 0.975, 0.975)),
    "GradientNoise": ({"inner_optimizer": DESCENT, "eta": 0.0}, (0.9, 0.95, 0.925)),
    "LossScaleOptimizer": (
        {"inner_optimizer": DESCENT, "initial_scale": 2.0},
        (0.95, 0.975, 0.9625),
    ),
    "LayerwiseDecay": ({"inner_optimizer": DESCENT}, (0.9, 0.95, 0.925)),
    "MultiOptimizer": ({"optimizer_map": lambda weight: SGD(0.1)}, (0.9, 0.95, 0.925)),
    "ByPath": ({"parts": {"*": 0.5}, "default": DESCENT}, (0.95, 0.975, 0.9625)),
    "Phases": (
        {"phases": [(DESCENT, Steps(2)), ({**DESCENT, "config": {"learning_rate": 1.0}}, None)]},
        (0.9, 0.95, 0.7),
    ),
}

# schedule: (arguments, a step, the rate at it)
SCHEDULES = {
    "ExponentialDecay": ((0.1, 100, 0.5), 150, 0.03535534),
    "InverseTimeDecay": ((0.1, 100, 0.5), 150, 0.05714286),
    "PiecewiseConstantDecay": (([10, 100], [0.3, 0.2, 0.1]), 100, 0.2),
    "PolynomialDecay": ((0.1, 100, 0.001, 2.0), 25, 0.0566875),
    "CosineDecay": ((0.1, 100, 0.1), 25, 0.08681981),
    "CosineDecayRestarts": ((0.1, 100, 2.0, 0.5), 150, 0.04267767),
    "Linear": ((0.1, 0.3, 100), 25, 0.15),
    "StepDecay": ((0.1, 30, 0.5), 60, 0.025),
    "MultiStepDecay": ((0.1, [30, 80], 0.5), 80, 0.025),
    "OneCycle": ((0.1, 100), 64, 0.0500002),
    "Cyclic": ((0.1, 0.5, 10, 20, "triangular2"), 50, 0.2),
    "WarmupStableDecay": ((0.1, 10, 70, 20), 85, 0.05),
    "REX": ((0.1, 100), 80, 0.03333333),
    "Noam": ((100, 100), 399, 0.005),
    "WarmRestarts": ((Linear(1.0, 0.0, 10), 10, 2.0, 0.5), 20, 0.25),
    "Join": (([Linear(0.0, 0.1, 10), 0.2], [10]), 10, 0.2),
    "Product": (([Linear(0.0, 1.0, 10), 0.5],), 4, 0.2),
}
