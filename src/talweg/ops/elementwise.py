"""NumPy's functions that act entry by entry.

Each is `jax.numpy`'s own behind the door of `op`: name, arguments and documentation are
JAX's, the arguments reduced to those that Keras knows.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import lax

from talweg.core import errors
from talweg.core.config import floatx
from talweg.ops.keras_tensor import Tensor, op


def _unary(function: Callable[..., Any], as_float: bool = False) -> Callable[[Any], Any]:
    def call(x: Tensor) -> Any:
        if as_float and not jnp.issubdtype(jnp.result_type(x), jnp.inexact):
            x = jnp.asarray(x, floatx())
        return function(x)

    return op(_named(call, function))


def _binary(function: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    def call(x1: Tensor, x2: Tensor) -> Any:
        return function(x1, x2)

    return op(_named(call, function))


def _bitwise(function: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    def call(x: Tensor, y: Tensor) -> Any:
        return function(x, y)

    return op(_named(call, function))


def _named(call: Callable[..., Any], function: Callable[..., Any]) -> Callable[..., Any]:
    call.__name__ = call.__qualname__ = function.__name__
    call.__doc__ = f"The same as `jax.numpy.{function.__name__}`."
    return call


absolute = abs = _unary(jnp.abs)
angle = _unary(jnp.angle, as_float=True)
arccos = _unary(jnp.arccos)
arccosh = _unary(jnp.arccosh)
arcsin = _unary(jnp.arcsin)
arcsinh = _unary(jnp.arcsinh)
arctan = _unary(jnp.arctan)
arctanh = _unary(jnp.arctanh)
bitwise_invert = bitwise_not = _unary(jnp.bitwise_not)
cbrt = _unary(jnp.cbrt)
ceil = _unary(jnp.ceil, as_float=True)
conjugate = conj = _unary(jnp.conjugate)
copy = _unary(jnp.copy)
cos = _unary(jnp.cos)
cosh = _unary(jnp.cosh)
deg2rad = _unary(jnp.deg2rad)
exp = _unary(jnp.exp)
exp2 = _unary(jnp.exp2)
expm1 = _unary(jnp.expm1)
fabs = _unary(jnp.fabs)
floor = _unary(jnp.floor, as_float=True)
i0 = _unary(jnp.i0)
imag = _unary(jnp.imag)
isfinite = _unary(jnp.isfinite)
isinf = _unary(jnp.isinf)
isnan = _unary(jnp.isnan)
isneginf = _unary(jnp.isneginf)
isposinf = _unary(jnp.isposinf)
isreal = _unary(jnp.isreal)
log = _unary(jnp.log)
log10 = _unary(jnp.log10)
log1p = _unary(jnp.log1p)
log2 = _unary(jnp.log2)
logical_not = _unary(jnp.logical_not)
negative = _unary(jnp.negative)
rad2deg = _unary(jnp.rad2deg)
real = _unary(jnp.real)
reciprocal = _unary(jnp.reciprocal)
sign = _unary(jnp.sign)
signbit = _unary(jnp.signbit)
sin = _unary(jnp.sin)
sinc = _unary(jnp.sinc)
sinh = _unary(jnp.sinh)
sqrt = _unary(jnp.sqrt)
square = _unary(jnp.square)
tan = _unary(jnp.tan)
tanh = _unary(jnp.tanh)
trunc = _unary(jnp.trunc)

add = _binary(jnp.add)
arctan2 = _binary(jnp.arctan2)
divide = true_divide = _binary(jnp.divide)
equal = _binary(jnp.equal)
floor_divide = _binary(jnp.floor_divide)
fmax = _binary(jnp.fmax)
fmin = _binary(jnp.fmin)
fmod = _binary(jnp.fmod)
gcd = _binary(jnp.gcd)
greater = _binary(jnp.greater)
greater_equal = _binary(jnp.greater_equal)
heaviside = _binary(jnp.heaviside)
hypot = _binary(jnp.hypot)
lcm = _binary(jnp.lcm)
ldexp = _binary(jnp.ldexp)
less = _binary(jnp.less)
less_equal = _binary(jnp.less_equal)
logaddexp = _binary(jnp.logaddexp)
logaddexp2 = _binary(jnp.logaddexp2)
logical_and = _binary(jnp.logical_and)
logical_or = _binary(jnp.logical_or)
logical_xor = _binary(jnp.logical_xor)
maximum = _binary(jnp.maximum)
minimum = _binary(jnp.minimum)
mod = _binary(jnp.mod)
multiply = _binary(jnp.multiply)
nextafter = _binary(jnp.nextafter)
not_equal = _binary(jnp.not_equal)
power = _binary(jnp.power)
subtract = _binary(jnp.subtract)

bitwise_and = _bitwise(jnp.bitwise_and)
bitwise_left_shift = left_shift = _bitwise(jnp.left_shift)
bitwise_or = _bitwise(jnp.bitwise_or)
bitwise_right_shift = right_shift = _bitwise(jnp.right_shift)
bitwise_xor = _bitwise(jnp.bitwise_xor)


@op
def divide_no_nan(x1: Tensor, x2: Tensor) -> Any:
    """x1 / x2, and 0 where x2 is 0; the gradient is 0 there too.

    >>> divide_no_nan([1.0, 1.0], [2.0, 0.0]).tolist()
    [0.5, 0.0]
    """
    x1, x2 = jnp.asarray(x1), jnp.asarray(x2)
    return jnp.where(x2 == 0, 0, jnp.divide(x1, jnp.where(x2 == 0, 1, x2)))


@op
def clip(x: Tensor, x_min: Tensor, x_max: Tensor) -> Any:
    """x cut to [x_min, x_max].

    >>> clip([-1.0, 5.0], 0.0, 1.0).tolist()
    [0.0, 1.0]
    """
    x = jnp.asarray(x)
    return jnp.clip(x.astype("int32") if x.dtype == bool else x, x_min, x_max)


@op
def round(x: Tensor, decimals: int = 0) -> Any:
    """x to so many decimals; to tens, hundreds… where negative."""
    x = jnp.asarray(x)
    if decimals < 0 and jnp.issubdtype(x.dtype, jnp.integer):
        return (jnp.round(x * 10.0**decimals) / 10.0**decimals).astype(x.dtype)
    return jnp.round(x, decimals)


@op
def nan_to_num(
    x: Tensor, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Any:
    """x with NaN and infinities replaced; infinities by the type's extremes unless given."""
    return jnp.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf)


@op
def isclose(
    x1: Tensor, x2: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Any:
    """|x1 - x2| <= atol + rtol |x2|, entry by entry."""
    return jnp.isclose(x1, x2, rtol, atol, equal_nan)


@op
def allclose(
    x1: Tensor, x2: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Any:
    """Whether `isclose` holds everywhere."""
    return jnp.allclose(x1, x2, rtol, atol, equal_nan)


@op
def where(condition: Tensor, x1: Tensor = None, x2: Tensor = None) -> Any:
    """x1 where `condition` holds, x2 elsewhere; without them the indices where it does.

    >>> where([True, False], 1.0, 2.0).tolist()
    [1.0, 2.0]
    """
    return jnp.where(condition, x1, x2)


@op
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    """The choice of the first condition that holds, entry by entry."""
    conditions = [jnp.asarray(c) for c in condlist]
    return jnp.select(conditions, [jnp.asarray(c) for c in choicelist], default)


@op
def rsqrt(x: Tensor) -> Any:
    """1 / sqrt(x)."""
    return lax.rsqrt(jnp.asarray(x))


@op
def erf(x: Tensor) -> Any:
    """The error function, 2/√π ∫₀ˣ exp(-t²) dt."""
    return lax.erf(jnp.asarray(x))


@op
def erfc(x: Tensor) -> Any:
    """1 - erf(x), accurate for large x."""
    return lax.erfc(jnp.asarray(x))


@op
def erfinv(x: Tensor) -> Any:
    """The inverse of `erf`."""
    return lax.erf_inv(jnp.asarray(x))


@op
def polar(abs_: Tensor, angle: Tensor) -> Any:
    """The complex numbers of these moduli and angles (in radians)."""
    return lax.complex(abs_ * jnp.cos(angle), abs_ * jnp.sin(angle))


@op
def view(x: Tensor, dtype: Any = None) -> Any:
    """The bits of x read as another type."""
    return jnp.asarray(x).view(dtype)


@op
def view_as_complex(x: Tensor) -> Any:
    """Complex numbers from a last axis of (real, imaginary)."""
    if x.ndim == 0 or x.shape[-1] != 2:
        raise errors.invalid("view_as_complex", "x", "of shape (…, 2)", x.shape)
    return lax.complex(x[..., 0], x[..., 1])


@op
def view_as_real(x: Tensor) -> Any:
    """Complex numbers as a last axis of (real, imaginary)."""
    return jnp.stack([jnp.real(x), jnp.imag(x)], axis=-1)


@op
def psnr(x1: Tensor, x2: Tensor, max_val: float) -> Any:
    """The peak signal-to-noise ratio in decibels, 20 log₁₀ max - 10 log₁₀ mean (x1 - x2)²."""
    return 20 * jnp.log10(max_val) - 10 * jnp.log10(jnp.mean(jnp.square(x1 - x2)))


def vectorize(
    pyfunc: Callable[..., Any], *, excluded: Any = None, signature: str | None = None
) -> Callable[..., Any]:
    """`pyfunc` over scalars as a function over arrays, as NumPy's `vectorize`."""
    return jnp.vectorize(pyfunc, excluded=excluded or set(), signature=signature)
