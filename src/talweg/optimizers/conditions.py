"""Work that is not done at every step: conditions that stay conditions in a population.

`jax.vmap` over a condition of each member would do both sides for all, and choose.
"""

from collections.abc import Callable, Sequence
from typing import Any, cast

import jax
import jax.numpy as jnp


def when_due(due: jax.Array, work: Callable[[Any], Any], kept: Any) -> Any:
    """`work(kept)` where `due`, else `kept`; costs nothing while it is not due.

    In a population the work is done when it is due for any member.
    """

    def for_those_due(old: Any) -> Any:
        return jax.tree.map(lambda new, o: jnp.where(due, new, o), work(old), old)

    return jax.lax.cond(anywhere(due), for_those_due, lambda old: old, kept)


@jax.custom_batching.custom_vmap
def anywhere(flag: jax.Array) -> jax.Array:
    """A flag; in a population, whether it is set for any member."""
    return flag


def _in_batch(
    axis_size: int, in_batched: Sequence[bool], flag: jax.Array
) -> tuple[jax.Array, bool]:
    reduced = jnp.any(flag, axis=0) if in_batched[0] else flag
    return cast(jax.Array, anywhere(reduced)), False


anywhere.def_vmap(_in_batch)
