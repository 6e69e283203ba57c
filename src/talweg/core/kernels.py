"""Small steps as one kernel: a loop over a step of microseconds is compiled as one function.

XLA runs a program on a CPU as a list of calls, one for each fusion and product, and hands some
to other threads. In a step of ten rows through twenty numbers and 64 units that is most of the
time: 13 to 16 µs, as one function 6 (jax 0.10.2, 2 cores). XLA does so itself where the body of a
loop touches less than a kilobyte; its limit is an option of the process, which it reads once.
So it is set to a megabyte when talweg is imported, where JAX has not started and XLA_FLAGS has no
`xla_backend_extra_options` of its own; the environment stays as it was. A loop of others that
touches less, without matrix products, becomes a function too, by as much faster. One with
products does not, since XLA gives these to a library: only a program compiled with `ONE_KERNEL`
keeps its own. These are plain loops, good where they are small.
"""

import functools
import math
import os
import warnings
from collections.abc import Iterator
from typing import Any

import jax
import jaxlib.version
from jax.extend.backend import get_compile_options

_OPTION = "xla_cpu_small_while_loop_byte_threshold"
_BYTES = 1 << 20

# Multiplications in the products of a step, up to which plain loops are faster than a library.
_PRODUCTS = 1 << 16

# Options of `jax.jit` for a loop over a step that fits.
ONE_KERNEL: dict[str, Any] = {"xla_cpu_experimental_ynn_fusion_type": ""}

# What XLA does not put into such a function; and convolutions, which have better code outside.
_OUTSIDE = frozenset({
    "approx_top_k", "cholesky", "conv_general_dilated", "eig", "eigh", "fft", "geqrf",
    "hessenberg", "householder_product", "lu", "ormqr", "qr", "reduce_window", "schur",
    "select_and_gather_add", "sort", "svd", "top_k", "triangular_solve", "tridiagonal",
    "tridiagonal_solve",
})  # fmt: skip


def _raise_limit() -> bool:
    """Have XLA read its flags with the limit among them; whether it did."""
    before = os.environ.get("XLA_FLAGS")
    if "xla_backend_extra_options" in (before or ""):
        return False
    os.environ["XLA_FLAGS"] = f"{before or ''} --xla_backend_extra_options={_OPTION}={_BYTES}"
    try:
        options = get_compile_options(num_replicas=1, num_partitions=1)
        return _OPTION.encode() in options.SerializeAsString()
    finally:
        if before is None:
            del os.environ["XLA_FLAGS"]
        else:
            os.environ["XLA_FLAGS"] = before


_read = os.environ.get("XLA_FLAGS")
# Before 0.9 products could not be kept from the library, nor did loops with any become functions.
_raised = jaxlib.version.__version_info__ >= (0, 9) and _raise_limit()


@functools.cache
def warn_of_late_flags() -> None:
    """Say it, once per process, where XLA_FLAGS was set after XLA had read it."""
    if _raised and os.environ.get("XLA_FLAGS") != _read:
        warnings.warn(
            "XLA_FLAGS was changed after `import talweg`, which has XLA read it: the change has no "
            "effect. Set it before the import.",
            RuntimeWarning,
            stacklevel=2,
        )


def fits_one_kernel(traced: Any) -> bool:
    """Whether a loop over a traced step is faster as one function, and will become one."""
    if not _raised or jax.default_backend() != "cpu":
        return False
    products = touched = 0
    for equation, times in equations(traced.jaxpr.jaxpr):
        name = equation.primitive.name
        if name in _OUTSIDE or "scatter" in name or "callback" in name:
            return False
        if name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            sizes = [equation.invars[0].aval.shape[axis] for axis in contracted]
            products += times * math.prod(sizes) * equation.outvars[0].aval.size
        touched += times * sum(map(_bytes, (*equation.invars, *equation.outvars)))
        if products > _PRODUCTS or touched > _BYTES:
            return False
    return True


def equations(
    jaxpr: Any, times: int = 1, within: Any = lambda e: True
) -> Iterator[tuple[Any, int]]:
    """The equations of a jaxpr and of those inside it, and how often each runs at least.

    Args:
        jaxpr: where to look.
        times: how often it runs itself.
        within: `(equation) -> bool`, whether to look inside an equation.
    """
    for equation in jaxpr.eqns:
        yield equation, times
        if not within(equation):
            continue
        turns = times * equation.params.get("length", 1)
        for value in equation.params.values():
            for inner in value if isinstance(value, (tuple, list)) else (value,):
                inner = getattr(inner, "jaxpr", inner)
                if hasattr(inner, "eqns"):
                    yield from equations(inner, turns, within)


def _bytes(variable: Any) -> int:
    aval = variable.aval
    return aval.size * aval.dtype.itemsize if hasattr(aval, "dtype") else 0
