"""One golden value for each optimizer and schedule: the only line that a new one adds here.

They come from the formula of the paper, computed by hand or in plain Python.
"""

# The gradients of the three steps; the parameter starts at 1.
GRADIENTS = (1.0, -0.5, 0.25)

# optimizer: (options, the parameter after each step)
OPTIMIZERS = {
    "SGD": ({"learning_rate": 0.1, "momentum": 0.9}, (0.9, 0.86, 0.799)),
    "RMSprop": ({"learning_rate": 0.1}, (0.6837724, 0.8312143, 0.7557507)),
    "Adam": ({"learning_rate": 0.1}, (0.9000003, 0.8733667, 0.8393239)),
    "Adagrad": ({"learning_rate": 0.1}, (0.9046537, 0.9476869, 0.9266517)),
    "Nadam": ({"learning_rate": 0.1}, (0.8937212, 0.9329808, 0.906647)),
}

# schedule: (arguments, a step, the rate at it)
SCHEDULES = {
    "ExponentialDecay": ((0.1, 100, 0.5), 150, 0.03535534),
    "InverseTimeDecay": ((0.1, 100, 0.5), 150, 0.05714286),
    "PiecewiseConstantDecay": (([10, 100], [0.3, 0.2, 0.1]), 100, 0.2),
    "PolynomialDecay": ((0.1, 100, 0.001, 2.0), 25, 0.0566875),
    "CosineDecay": ((0.1, 100, 0.1), 25, 0.08681981),
    "CosineDecayRestarts": ((0.1, 100, 2.0, 0.5), 150, 0.04267767),
}
