"""Whether a file computes what its model computes, asked before it is kept."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from talweg.export.forward import Forward

# Rounding differs from runtime to runtime and adds up over layers; what is converted wrongly
# is off by as much as the outputs are large.
_TOLERANCE = 1e-3
# Rows, and entries of all other open sizes: odd, so that nothing fits by chance.
_ROWS, _OTHERS = 3, 65


def check(forward: Forward, run: Callable[[Sequence[np.ndarray]], Any], target: str) -> None:
    """Compare what was written with the model, on random inputs.

    Args:
        forward: the model.
        run: the outputs of what was written, for arrays in the order of `forward.inputs`.
        target: the name of the format.

    Raises:
        ValueError: an output differs; naming it.
    """
    compiled = jax.jit(forward)
    # 1 is an index that nearly every table has; where it is not, 0 is.
    for integers in (2, 1):
        arrays = forward.sample(lambda name: _ROWS if name == "batch" else _OTHERS, integers)
        outputs = compiled(*forward.arguments(arrays))
        expected = [np.asarray(output) for output in jax.tree.leaves(outputs)]
        if all(np.isfinite(output.astype(complex)).all() for output in expected):
            break
    got = [np.asarray(output) for output in jax.tree.leaves(run(arrays))]
    names = forward.output_names(outputs)
    for name, one, other in zip(names, expected, got, strict=True):
        problem = difference(one, other)
        if problem:
            raise ValueError(
                f"export: the {target} of model {forward.model.name!r} does not compute what the "
                f"model computes: output {name!r} {problem}. Nothing was written. Layers that do "
                "not survive the conversion are listed in talweg's docs/export.md."
            )


def difference(expected: np.ndarray, got: np.ndarray) -> str:
    """What is wrong with an output; empty where nothing is.

    >>> difference(np.ones(3), np.ones(3) + 1e-7), difference(np.ones(3), np.zeros(3))
    ('', 'is off by 1')
    """
    if expected.shape != got.shape:
        return f"has shape {got.shape} in place of {expected.shape}"
    if not np.issubdtype(expected.dtype, np.inexact):
        wrong = int(np.sum(expected != got))
        return f"differs in {wrong} of {expected.size} entries" if wrong else ""
    one, other = expected.astype(complex), got.astype(complex)
    if not np.array_equal(np.isfinite(one), np.isfinite(other)):
        return "is not finite in the same places"
    finite = np.isfinite(one)
    scale = max(np.abs(one[finite]).max(initial=0.0), 1e-3)
    worst = np.abs(one - other)[finite].max(initial=0.0)
    return f"is off by {worst:.3g}" if worst > _TOLERANCE * scale else ""
