"""Choosing: comparisons of optimizers and rates, with folds, seeds and error bars."""

from talweg.search.compare import compare
from talweg.search.comparison import Best, Comparison, Trial

__all__ = ["Best", "Comparison", "Trial", "compare"]
