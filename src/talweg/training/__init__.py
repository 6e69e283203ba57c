"""The engine: pure steps, blocks of steps as one compiled program, and the loop."""

from talweg.training.block import Program
from talweg.training.loop import Trainee, run, train
from talweg.training.state import NEVER, TrainState
from talweg.training.step import Task, make_step

__all__ = [
    "NEVER",
    "Program",
    "Task",
    "TrainState",
    "Trainee",
    "make_step",
    "run",
    "train",
]
