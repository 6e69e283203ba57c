"""Convolutions by XLA forward and by patches in derivatives are one convolution."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from talweg.layers.windows import convolved
from talweg.training.block import slow_in_loops

CASES = {
    "valid": ((7, 6), (3, 2), (1, 1), "VALID", (1, 1)),
    "same, strided": ((7, 6), (3, 3), (2, 1), "SAME", (1, 1)),
    "dilated": ((9, 8), (3, 2), (1, 1), "SAME", (2, 3)),
    "causal": ((9,), (3,), (1,), [(2, 0)], (1,)),
    "volume": ((4, 5, 4), (2, 2, 3), (1, 2, 1), "SAME", (1, 1, 1)),
    "smaller than its kernel": ((2, 2), (3, 3), (1, 1), "SAME", (1, 1)),
}


def _native(x, kernel, strides, padding, dilation):
    axes = "DHW"[-len(strides) :]
    return lax.conv_general_dilated(
        x, kernel, strides, padding, rhs_dilation=dilation,
        dimension_numbers=(f"N{axes}C", f"{axes}IO", f"N{axes}C"),
    )  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_outputs_and_derivatives_are_those_of_xla(case):
    sizes, window, strides, padding, dilation = CASES[case]
    random = np.random.default_rng(0)
    x = jnp.asarray(random.normal(size=(2, *sizes, 3)), jnp.float32)
    kernel = jnp.asarray(random.normal(size=(*window, 3, 4)), jnp.float32)
    along = jax.tree.map(lambda a: jnp.asarray(random.normal(size=a.shape), a.dtype), (x, kernel))

    def told(convolution):
        def loss(x, kernel):
            return jnp.sum(jnp.sin(convolution(x, kernel, strides, padding, dilation)))

        gradient = jax.grad(loss, (0, 1))
        return jax.jit(
            lambda: (
                convolution(x, kernel, strides, padding, dilation),
                gradient(x, kernel),
                jax.grad(loss, 1)(x, kernel),
                jax.jvp(gradient, (x, kernel), along),
                jax.vmap(lambda k: convolution(x, k, strides, padding, dilation))(
                    jnp.stack([kernel, 2 * kernel])
                ),
            )
        )()

    for ours, theirs in zip(
        jax.tree.leaves(told(convolved)), jax.tree.leaves(told(_native)), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def _traced(function, *args):
    return jax.jit(function).trace(*args)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="loops slow convolutions on CPUs")
def test_what_a_loop_slows_down_is_xla_s_gradient_only():
    x, kernel = jnp.ones((2, 6, 6, 3)), jnp.ones((3, 3, 3, 4))
    ours = partial(convolved, strides=(1, 1), padding="VALID", dilation=(1, 1))
    theirs = partial(_native, strides=(1, 1), padding="VALID", dilation=(1, 1))
    assert "conv_general_dilated" in str(_traced(ours, x, kernel).jaxpr)
    assert not slow_in_loops(_traced(ours, x, kernel))
    assert not slow_in_loops(_traced(jax.grad(lambda k: ours(x, k).sum()), kernel))
    assert slow_in_loops(_traced(jax.grad(lambda k: theirs(x, k).sum()), kernel))
