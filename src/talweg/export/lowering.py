"""Programs of JAX said in terms that jax2onnx carries, where it carries other terms not.

A jaxpr is run equation by equation: functions inside it are inlined, and primitives that have
a rule here are computed by others. With jax2onnx 0.17 and onnxruntime 1.31 these are remainders
and a `pad` of arrays of an open size, a `scan` from the end, maxima over windows with more than
three axes, convolutions with three spatial axes, transforms of real numbers, choices among
booleans, and the comparisons of searches.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

Rule = Callable[[Sequence[Any], dict[str, Any]], Any]


def lowered(program: ClosedJaxpr) -> Callable[..., list[Any]]:
    """A function that computes what `program` does, to be traced anew."""

    def run(*arrays: Any) -> list[Any]:
        outputs = _run(program.jaxpr, program.consts, arrays)
        given = {id(array) for array in arrays}
        for i, output in enumerate(outputs):
            # A file has a name for each output, which cannot be the input's or another's.
            if id(output) in given:
                outputs[i] = lax.optimization_barrier(output)
            given.add(id(output))
        return outputs

    return run


def _run(jaxpr: Jaxpr, consts: Sequence[Any], arrays: Sequence[Any]) -> list[Any]:
    values: dict[Any, Any] = {}

    def read(variable: Any) -> Any:
        return variable.val if isinstance(variable, Literal) else values[variable]

    values.update(zip(jaxpr.constvars, consts, strict=True))
    values.update(zip(jaxpr.invars, arrays, strict=True))
    for equation in jaxpr.eqns:
        inputs = [read(variable) for variable in equation.invars]
        primitive, parameters = equation.primitive, equation.params
        inner = parameters.get("jaxpr") or parameters.get("call_jaxpr")
        rule = _RULES.get(primitive.name)
        if rule is not None:
            outputs = rule(inputs, parameters)
        elif primitive.name in _INLINED and inner is not None:
            outputs = _inlined(inner, inputs)
        else:
            outputs = primitive.bind(*inputs, **parameters)
        outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        values.update(zip(equation.outvars, outputs, strict=True))
    return [read(variable) for variable in jaxpr.outvars]


_INLINED = {
    "jit", "pjit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "remat",
    "remat2", "checkpoint",
}  # fmt: skip


def _inlined(inner: Any, inputs: Sequence[Any]) -> list[Any]:
    if isinstance(inner, ClosedJaxpr):
        return _run(inner.jaxpr, inner.consts, inputs)
    return _run(inner, (), inputs)


# -- control flow, whose bodies hold equations too -----------------------------------------


def _scan(inputs: Sequence[Any], parameters: dict[str, Any]) -> list[Any]:
    """From the end: the inputs turned round, and the outputs again."""
    if "ft_in" in parameters:  # since JAX 0.11: the inputs' groups in place of their sizes
        fixed, carried = map(len, parameters["ft_in"].elts[:2])
    else:
        fixed, carried = parameters["num_consts"], parameters["num_carry"]
    consts, carry = inputs[:fixed], inputs[fixed : fixed + carried]
    rows, body = inputs[fixed + carried :], parameters["jaxpr"]
    back = parameters["reverse"]

    def step(state: Any, row: Any) -> Any:
        outputs = _inlined(body, [*consts, *state, *row])
        return outputs[:carried], outputs[carried:]

    if back:
        rows = [lax.rev(array, (0,)) for array in rows]
    length = None if rows else parameters["length"]  # which may be open
    carry, stacked = lax.scan(step, list(carry), list(rows), length)
    return [*carry, *(lax.rev(array, (0,)) if back else array for array in stacked)]


def _while(inputs: Sequence[Any], parameters: dict[str, Any]) -> list[Any]:
    of_test, of_body = parameters["cond_nconsts"], parameters["body_nconsts"]
    test, body = inputs[:of_test], inputs[of_test : of_test + of_body]
    return lax.while_loop(
        lambda state: _inlined(parameters["cond_jaxpr"], [*test, *state])[0],
        lambda state: _inlined(parameters["body_jaxpr"], [*body, *state]),
        list(inputs[of_test + of_body :]),
    )


def _cond(inputs: Sequence[Any], parameters: dict[str, Any]) -> list[Any]:
    index, *operands = inputs
    branches = [
        lambda *arrays, branch=branch: _inlined(branch, arrays) for branch in parameters["branches"]
    ]
    return lax.switch(index, branches, *operands)


# -- padding -------------------------------------------------------------------------------


def _pad(inputs: Sequence[Any], parameters: dict[str, Any]) -> Any:
    """Constants joined to both ends, what is cut off sliced away, axis by axis."""
    x, value = inputs
    for axis, (low, high, interior) in enumerate(parameters["padding_config"]):
        if interior:
            x = _spread(x, value, axis, interior)
        x = _padded(x, value, axis, low, high)
    return x


def _spread(x: Any, value: Any, axis: int, between: int) -> Any:
    """Each entry followed by `between` constants, but the last."""
    between_shape = (*x.shape[: axis + 1], between, *x.shape[axis + 1 :])
    blocks = [jnp.expand_dims(x, axis + 1), lax.broadcast(value, between_shape)]
    joined = lax.concatenate(blocks, axis + 1)
    count = x.shape[axis] * (between + 1)
    joined = lax.reshape(joined, (*x.shape[:axis], count, *x.shape[axis + 1 :]))
    return lax.slice_in_dim(joined, 0, count - between, axis=axis)


def _padded(x: Any, value: Any, axis: int, low: int, high: int) -> Any:
    def block(size: int) -> Any:
        return lax.broadcast(value, (*x.shape[:axis], size, *x.shape[axis + 1 :]))

    size = x.shape[axis]
    if low < 0 or high < 0:
        x = lax.slice_in_dim(x, max(-low, 0), size - max(-high, 0), axis=axis)
    parts = [block(low)] if low > 0 else []
    parts += [x] + ([block(high)] if high > 0 else [])
    return lax.concatenate(parts, axis) if len(parts) > 1 else x


# -- windows -------------------------------------------------------------------------------


def _max_of_windows(inputs: Sequence[Any], parameters: dict[str, Any]) -> Any:
    """Maxima along two axes at a time, all other axes as one: ONNX pools three at most."""
    (x,) = inputs
    window, strides = parameters["window_dimensions"], parameters["window_strides"]
    padding, dilation = parameters["padding"], parameters["window_dilation"]
    if x.ndim <= 3 or any(step != 1 for step in parameters["base_dilation"]):
        return lax.reduce_window_max_p.bind(x, **parameters)
    axes = [
        axis
        for axis in range(x.ndim)
        if (window[axis], strides[axis], *padding[axis]) != (1, 1, 0, 0)
    ]
    for pair in (axes[i : i + 2] for i in range(0, len(axes), 2)):
        others = [axis for axis in range(x.ndim) if axis not in pair]
        moved = lax.transpose(x, (*others, *pair))
        sizes = moved.shape[: len(others)]
        flat = lax.reshape(moved, (math.prod(sizes), *moved.shape[len(others) :]))
        pooled = lax.reduce_window_max_p.bind(
            flat,
            window_dimensions=(1, *(window[axis] for axis in pair)),
            window_strides=(1, *(strides[axis] for axis in pair)),
            padding=((0, 0), *(padding[axis] for axis in pair)),
            base_dilation=(1,) * flat.ndim,
            window_dilation=(1, *(dilation[axis] for axis in pair)),
        )
        moved = lax.reshape(pooled, (*sizes, *pooled.shape[1:]))
        order = [*others, *pair]
        x = lax.transpose(moved, [order.index(axis) for axis in range(x.ndim)])
    return x


def _convolution(inputs: Sequence[Any], parameters: dict[str, Any]) -> Any:
    """Of volumes: for each slice of the kernel a convolution of pictures, and their sum."""
    x, kernel = inputs
    numbers = parameters["dimension_numbers"]
    if x.ndim != 5 or parameters["batch_group_count"] != 1:
        return lax.conv_general_dilated_p.bind(x, kernel, **parameters)
    rows, channels, *places = numbers.lhs_spec
    x = lax.transpose(x, (rows, *places, channels))
    filters, features, *places = numbers.rhs_spec
    kernel = lax.transpose(kernel, (*places, features, filters))
    zero = jnp.zeros((), x.dtype)
    if parameters["lhs_dilation"][0] > 1:
        x = _spread(x, zero, 1, parameters["lhs_dilation"][0] - 1)
    x = _padded(x, zero, 1, *parameters["padding"][0])
    stride, apart = parameters["window_strides"][0], parameters["rhs_dilation"][0]
    count = (x.shape[1] - (kernel.shape[0] - 1) * apart - 1) // stride + 1
    total: Any = None
    for place in range(kernel.shape[0]):
        first = place * apart
        seen = lax.slice_in_dim(x, first, first + (count - 1) * stride + 1, stride, axis=1)
        result = lax.conv_general_dilated(
            lax.reshape(seen, (seen.shape[0] * count, *seen.shape[2:])),
            kernel[place],
            parameters["window_strides"][1:],
            parameters["padding"][1:],
            parameters["lhs_dilation"][1:],
            parameters["rhs_dilation"][1:],
            ("NHWC", "HWIO", "NHWC"),
            parameters["feature_group_count"],
            precision=parameters["precision"],
            preferred_element_type=parameters["preferred_element_type"],
        )
        total = result if total is None else total + result
    total = lax.reshape(total, (x.shape[0], count, *total.shape[1:]))
    rows, channels, *places = numbers.out_spec
    order = [rows, *places, channels]
    return lax.transpose(total, [order.index(axis) for axis in range(5)])


# -- arithmetic ----------------------------------------------------------------------------


def _transform(inputs: Sequence[Any], parameters: dict[str, Any]) -> Any:
    """The Fourier transform of real rows, as products with the waves."""
    (x,) = inputs
    if parameters["fft_type"] != lax.FftType.RFFT or len(parameters["fft_lengths"]) != 1:
        return lax.fft_p.bind(x, **parameters)
    (length,) = parameters["fft_lengths"]
    # Whole turns are left out before the angle is taken, so that it is exact.
    turns = np.outer(np.arange(length), np.arange(length // 2 + 1)) % length
    angle = 2.0 * np.pi * turns / length
    return lax.complex(x @ np.cos(angle).astype(x.dtype), x @ -np.sin(angle).astype(x.dtype))


def _remainder(inputs: Sequence[Any], _: dict[str, Any]) -> Any:
    """What is left of `x`, with its sign, when `y` is taken as often as it goes in."""
    x, y = inputs
    times = lax.div(x, y)
    if jnp.issubdtype(x.dtype, jnp.floating):
        times = lax.sign(times) * lax.floor(lax.abs(times))
    return x - times * y


def _choice(inputs: Sequence[Any], parameters: dict[str, Any]) -> Any:
    """Among two truths: onnxruntime chooses among numbers only."""
    which, *cases = inputs
    if len(cases) != 2 or any(case.dtype != bool for case in cases) or which.dtype != bool:
        return lax.select_n_p.bind(which, *cases, **parameters)
    return (which & cases[1]) | (~which & cases[0])


def _order(compare: Callable[[Any, Any], Any]) -> Rule:
    """The order of sorting, without a place for NaN: searches compare with what is sorted."""
    return lambda inputs, _: compare(*inputs)


_RULES: dict[str, Rule] = {
    "scan": _scan, "while": _while, "cond": _cond, "pad": _pad,
    "reduce_window_max": _max_of_windows, "conv_general_dilated": _convolution,
    "fft": _transform, "rem": _remainder, "select_n": _choice,
    "lt_to": _order(lax.lt), "le_to": _order(lax.le),
}  # fmt: skip
