"""Optimizers: one paper, one file, one export line here."""

from typing import Any

from talweg.core.serialization import Catalog
from talweg.optimizers import schedules
from talweg.optimizers.adabelief import AdaBelief
from talweg.optimizers.adadelta import Adadelta
from talweg.optimizers.adafactor import Adafactor
from talweg.optimizers.adagrad import Adagrad
from talweg.optimizers.adam import Adam
from talweg.optimizers.adamax import Adamax
from talweg.optimizers.adamw import AdamW
from talweg.optimizers.adan import Adan
from talweg.optimizers.ademamix import AdEMAMix
from talweg.optimizers.adopt import ADOPT
from talweg.optimizers.amsgrad import AMSGrad
from talweg.optimizers.asgd import ASGD
from talweg.optimizers.base import Optimizer
from talweg.optimizers.by_path import ByPath, LayerwiseDecay, Part
from talweg.optimizers.cautious import Cautious
from talweg.optimizers.dadapt_adam import DAdaptAdam
from talweg.optimizers.dadapt_sgd import DAdaptSGD
from talweg.optimizers.ema import EMA
from talweg.optimizers.from_optax import from_optax
from talweg.optimizers.ftrl import Ftrl
from talweg.optimizers.gradient_accumulation import GradientAccumulation
from talweg.optimizers.gradient_noise import GradientNoise
from talweg.optimizers.kron import Kron
from talweg.optimizers.lamb import Lamb
from talweg.optimizers.lars import LARS
from talweg.optimizers.lbfgs import LBFGS
from talweg.optimizers.lion import Lion
from talweg.optimizers.lookahead import Lookahead, Ranger
from talweg.optimizers.loss_scale import LossScaleOptimizer
from talweg.optimizers.mars import MARS
from talweg.optimizers.multi_optimizer import MultiOptimizer, OptimizerMap
from talweg.optimizers.muon import Muon
from talweg.optimizers.nadam import Nadam
from talweg.optimizers.novograd import NovoGrad
from talweg.optimizers.phases import Epochs, Phases, Plateau, Steps
from talweg.optimizers.prodigy import Prodigy
from talweg.optimizers.radam import RAdam
from talweg.optimizers.rmsprop import RMSprop
from talweg.optimizers.rprop import Rprop
from talweg.optimizers.sam import SAM
from talweg.optimizers.schedule_free import ScheduleFreeAdamW, ScheduleFreeSGD
from talweg.optimizers.sgd import SGD
from talweg.optimizers.shampoo import Shampoo
from talweg.optimizers.soap import SOAP
from talweg.optimizers.sophia import Sophia
from talweg.optimizers.state import OptimizerState
from talweg.optimizers.swa import SWA
from talweg.optimizers.yogi import Yogi

__all__ = [
    "Optimizer",
    "OptimizerState",
    "SGD",
    "RMSprop",
    "Adam",
    "Adagrad",
    "Nadam",
    "AdamW",
    "Adamax",
    "Adadelta",
    "Adafactor",
    "Ftrl",
    "Lion",
    "Lamb",
    "AMSGrad",
    "AdaBelief",
    "RAdam",
    "Yogi",
    "NovoGrad",
    "LARS",
    "ADOPT",
    "Adan",
    "AdEMAMix",
    "MARS",
    "Rprop",
    "ASGD",
    "Muon",
    "SOAP",
    "Shampoo",
    "Kron",
    "Prodigy",
    "DAdaptSGD",
    "DAdaptAdam",
    "ScheduleFreeSGD",
    "ScheduleFreeAdamW",
    "Sophia",
    "LBFGS",
    "LossScaleOptimizer",
    "ByPath",
    "Part",
    "LayerwiseDecay",
    "Phases",
    "Steps",
    "Epochs",
    "Plateau",
    "Cautious",
    "Lookahead",
    "Ranger",
    "SAM",
    "EMA",
    "SWA",
    "GradientAccumulation",
    "GradientNoise",
    "MultiOptimizer",
    "OptimizerMap",
    "schedules",
    "from_optax",
    "get",
    "serialize",
    "deserialize",
]

catalog = Catalog("optimizer", globals(), Optimizer)


def get(identifier: Any) -> Any:
    """An optimizer from a name ("adam"), a config, a class, or an optimizer; None stays None.

    Raises:
        ValueError: the name is unknown; the nearest one is offered.
        TypeError: the identifier is none of these.
    """
    found = catalog.get(identifier)
    if found is not None and not isinstance(found, Optimizer):
        raise TypeError(f"Expected an optimizer or its name, got {identifier!r}.")
    return found


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """The record of an optimizer: its class and its config."""
    return catalog.serialize(optimizer)


def deserialize(config: Any, custom_objects: Any = None) -> Optimizer:
    """The optimizer that a record describes."""
    return catalog.deserialize(config, custom_objects)
