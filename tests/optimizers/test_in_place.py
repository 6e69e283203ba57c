"""A step writes over its arrays: it needs no memory of its own, for any part of a model."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from talweg import optimizers

SIZE = 40_000


def params() -> dict[str, jax.Array]:
    return {"first": jnp.linspace(-1, 1, SIZE), "second": jnp.linspace(1, 2, SIZE)}


def in_place(optimizer: Any) -> Any:
    def step(params: Any, state: Any, grads: Any) -> Any:
        return optimizer.update(grads, state, params)

    return jax.jit(step, donate_argnums=(0, 1))


def by_path(**adam: Any) -> optimizers.ByPath:
    return optimizers.ByPath({"first": 0.5, "second": 2.0}, default=optimizers.Adam(**adam))


@pytest.mark.parametrize(
    "optimizer",
    [optimizers.Adam(), optimizers.SGD(0.1, momentum=0.9), by_path()],
    ids=["Adam", "SGD", "ByPath"],
)
def test_a_step_copies_no_array(optimizer: Any):
    state, grads = optimizer.init(params()), params()
    compiled = in_place(optimizer).lower(params(), state, grads).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < SIZE


@pytest.mark.parametrize(
    "make", [optimizers.Adam, by_path, lambda: optimizers.Lookahead("adam")],
    ids=["Adam", "ByPath", "Lookahead"],
)  # fmt: skip
def test_params_and_state_can_be_donated_and_the_optimizer_is_as_before(make: Any):
    optimizer, grads = make(), params()
    weights = params()
    expected, _ = optimizer.update(grads, optimizer.init(weights), weights)
    new, state = in_place(optimizer)(weights, optimizer.init(weights), grads)
    for name, value in new.items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-6)
    assert int(state.iterations) == 1
    assert optimizer.init(params()).hyper.keys() == state.hyper.keys()
    jax.block_until_ready(jax.tree.leaves(optimizer.hyper_state()))


def test_a_frozen_part_stands_still_to_the_bit_and_the_other_moves():
    optimizer = by_path(weight_decay=0.1, clipnorm=1.0)
    optimizer["first"].frozen = True
    before, grads = params(), {"first": jnp.full(SIZE, jnp.nan), "second": jnp.ones(SIZE)}
    state = optimizer.init(before)
    after, moved = jax.jit(optimizer.update)(grads, state, before)
    held, free = moved.inner[0].slots
    assert np.array_equal(after["first"], before["first"])
    assert not np.any(held.momentum)
    assert np.all(after["second"] < before["second"])
    assert np.all(free.momentum != 0)
