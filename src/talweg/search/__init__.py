"""Choosing: comparisons of optimizers and rates, a rate from the data, advice from curves."""

from talweg.search.advice import advise
from talweg.search.compare import compare
from talweg.search.comparison import Best, Comparison, Trial
from talweg.search.curve_rules import Advice
from talweg.search.gradient_noise import GradientNoise
from talweg.search.learning_rate import find_learning_rate
from talweg.search.rate_result import RateResult

__all__ = [
    "Advice",
    "Best",
    "Comparison",
    "GradientNoise",
    "RateResult",
    "Trial",
    "advise",
    "compare",
    "find_learning_rate",
]
