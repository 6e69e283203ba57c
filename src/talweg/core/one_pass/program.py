"""A program taken apart: its equations, and what each of them needs."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Jaxpr, Literal, jaxpr_as_fun

# Types of JAX in C.
TYPES = {
    np.dtype("float32"): "float",
    np.dtype("float64"): "double",
    np.dtype("bool"): "uint8_t",
    np.dtype(jnp.bfloat16): "bfloat16",
}


def _power(x: str, *, y: int, **_: Any) -> str:
    product = " * ".join([x] * abs(y)) or "1"
    return f"1 / ({product})" if y < 0 else product


def _converted(x: str, *, of: Any, new_dtype: Any, **_: Any) -> str:
    wide = f"widened({x})" if of == jnp.bfloat16 else x
    if new_dtype == np.bool_:
        return f"{wide} != 0"
    return f"narrowed({wide})" if new_dtype == jnp.bfloat16 else wide


# Primitives of JAX in C, with what becomes of numbers that are not numbers (NaN) there; `of` is the
# type of the first input. Functions that XLA computes for many numbers at once (exp, log, pow) are
# not among them.
_EXPRESSIONS: dict[str, Callable[..., str]] = {
    "add": lambda x, y, **_: f"{x} + {y}",
    "sub": lambda x, y, **_: f"{x} - {y}",
    "mul": lambda x, y, **_: f"{x} * {y}",
    "div": lambda x, y, **_: f"{x} / {y}",
    "neg": lambda x, **_: f"-{x}",
    "abs": lambda x, **_: f"absolute({x})",
    "sign": lambda x, **_: f"{x} > 0 ? 1 : {x} < 0 ? -1 : {x}",
    "max": lambda x, y, **_: f"{x} > {y} || {x} != {x} ? {x} : {y}",
    "min": lambda x, y, **_: f"{x} < {y} || {x} != {x} ? {x} : {y}",
    "square": lambda x, **_: f"{x} * {x}",
    "integer_pow": _power,
    "sqrt": lambda x, **_: f"root({x})",
    "rsqrt": lambda x, **_: f"1 / root({x})",
    "eq": lambda x, y, **_: f"{x} == {y}",
    "ne": lambda x, y, **_: f"{x} != {y}",
    "lt": lambda x, y, **_: f"{x} < {y}",
    "le": lambda x, y, **_: f"{x} <= {y}",
    "gt": lambda x, y, **_: f"{x} > {y}",
    "ge": lambda x, y, **_: f"{x} >= {y}",
    "and": lambda x, y, **_: f"{x} & {y}",
    "or": lambda x, y, **_: f"{x} | {y}",
    "not": lambda x, **_: f"!{x}",
    "is_finite": lambda x, **_: f"{x} - {x} == 0",
    "select_n": lambda which, x, y, **_: f"{which} ? {y} : {x}",
    "convert_element_type": _converted,
}

# Of numbers in 16 bits there is no arithmetic in C.
_FOR_ALL_TYPES = {"select_n", "convert_element_type"}

# Functions within the program, whose equations are as good as its own.
_INLINED = {"jit", "pjit", "closed_call", "custom_jvp_call", "custom_vjp_call"}

# What XLA joins with that which reads it, so that no memory holds it in between …
_JOINED = {
    *_EXPRESSIONS, "broadcast_in_dim", "reshape", "squeeze", "expand_dims", "transpose", "iota",
    "exp", "exp2", "expm1", "log", "log1p", "pow", "tanh", "logistic", "erf", "erf_inv", "sin",
    "cos", "floor", "ceil", "round", "rem", "clamp", "shift_left", "shift_right_logical",
    "bitcast_convert_type", "xor", "copy", "stop_gradient",
}  # fmt: skip
# … and with that which it reads, where that is simple, and of arrays alone: of anything else it
# makes slow code.
_REDUCTIONS = {"reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "reduce_and", "reduce_or"}
_SIMPLE = {"add", "sub", "mul", "neg", "square", "integer_pow", "abs", "convert_element_type"}


@dataclass(eq=False)
class Value:
    """An array of the program.

    Attributes:
        aval: its shape and type.
        constant: the array itself, where it is known.
        maker: the equation whose result it is, if it is one.
        spread: the scalar that it repeats, where it does.
    """

    aval: Any
    constant: Any = None
    maker: "Equation | None" = None
    spread: "Value | None" = None

    @property
    def looped(self) -> bool:
        """Whether a loop may make it."""
        return self.maker is not None and self.maker.expression is not None

    @property
    def joined(self) -> bool:
        """Whether XLA makes it where it is read, and not in memory."""
        return self.maker is not None and self.maker.primitive.name in _JOINED

    @property
    def level(self) -> int:
        """That of the equation that makes it."""
        return self.maker.level if self.maker else 0

    @property
    def bytes(self) -> int:
        """What it takes in memory."""
        return self.aval.size * self.aval.dtype.itemsize

    @property
    def scalar(self) -> "Value | None":
        """Itself or what it repeats, if that is one number."""
        return self if self.aval.shape == () else self.spread

    @property
    def literal(self) -> str | None:
        """A number that the program says, in C and exactly; None for any other."""
        if self.constant is None or isinstance(self.constant, jax.Array) or self.aval.shape != ():
            return None
        if jnp.issubdtype(self.aval.dtype, jnp.complexfloating):
            return None
        if not jnp.issubdtype(self.aval.dtype, jnp.floating):
            return str(int(self.constant))
        if self.aval.dtype == jnp.bfloat16:  # its bits
            return str(int(np.asarray(self.constant, self.aval.dtype).view(np.uint16)))
        number = float(self.constant)
        if math.isnan(number):
            return "NAN"
        if math.isinf(number):
            return "INFINITY" if number > 0 else "(-INFINITY)"
        return f"({number.hex()}{'f' if self.aval.dtype == np.float32 else ''})"


@dataclass(eq=False)
class Equation:
    """An equation of the program.

    Attributes:
        level: how often what it reads had to be in memory between a loop and XLA.
        expression: what it computes, in C, where it may be part of a loop.
        heavy: what should be in memory for a reduction of its result.
    """

    primitive: Any
    params: dict[str, Any]
    inputs: list[Value]
    outputs: list[Value]
    effects: Any = ()
    level: int = 0
    expression: Callable[..., str] | None = None
    heavy: frozenset[Value] = frozenset()

    @property
    def from_memory(self) -> list[Value]:
        """What a loop may make, and XLA must find in memory to compute this."""
        if self.primitive.name in _JOINED:
            return []
        if self.primitive.name in _REDUCTIONS:
            return [value for v in self.inputs if v.maker for value in v.maker.heavy]
        return [value for value in self.inputs if value.looped]

    @property
    def meaning(self) -> Any:
        """What equal equations have in common."""
        given = ((v.aval.dtype, v.literal) if v.literal is not None else v for v in self.inputs)
        try:
            params = frozenset(self.params.items())
        except TypeError:  # something that cannot be compared: it is like no other
            params = object()
        return self.primitive, params, *given


def behind(ends: Iterable[Equation | None], goes_on: Callable[[Value], bool]) -> set[Equation]:
    """`ends`, and the equations behind them as far as it goes on."""
    found: set[Equation] = set()
    left = list(ends)
    while left:
        equation = left.pop()
        if equation is not None and equation not in found:
            found.add(equation)
            left += [value.maker for value in equation.inputs if goes_on(value)]
    return found


def _constant(array: Any) -> Value:
    return Value(jax.typeof(array), array)


# -- taking apart ----------------------------------------------------------------------------------


def flat(
    jaxpr: Jaxpr,
    constants: Sequence[Any],
    inputs: Sequence[Value],
    scalars: dict[Any, Equation] | None = None,
) -> tuple[list[Equation], list[Value]]:
    """The equations of a program and of the functions within it, in order; and its outputs.

    A scalar is computed once, as `scalars` remember: the rule of each tensor says the rate of the
    step anew.
    """
    scalars = {} if scalars is None else scalars
    known: dict[Any, Value] = dict(zip(jaxpr.invars, inputs, strict=True))
    known.update(zip(jaxpr.constvars, map(_constant, constants), strict=True))

    def look_up(variable: Any) -> Value:
        if isinstance(variable, Literal):
            return Value(variable.aval, variable.val)
        return known[variable]

    equations: list[Equation] = []
    for e in jaxpr.eqns:
        name, given = e.primitive.name, [look_up(variable) for variable in e.invars]
        if name in _INLINED:
            inner = e.params.get("jaxpr") or e.params["call_jaxpr"]
            own, made = flat(inner.jaxpr, inner.consts, given, scalars)
            equations += own
        elif name == "cond" and (moved := _moved(e, given, scalars)):
            own, made = moved
            equations += own
        elif name == "convert_element_type" and given[0].aval.dtype == e.params["new_dtype"]:
            made = given  # only "weak" types, as JAX calls them, are no longer so
        else:
            made = [Value(variable.aval) for variable in e.outvars]
            equation = Equation(e.primitive, e.params, given, made, e.effects)
            if e.effects or any(value.aval.shape != () for value in made):
                first = equation
            else:
                first = scalars.setdefault(equation.meaning, equation)
            if first is equation:
                equations.append(_placed(equation))
            made = first.outputs
        known.update(zip(e.outvars, made, strict=True))
    return equations, [look_up(variable) for variable in jaxpr.outvars]


def _moved(
    condition: Any, given: Sequence[Value], scalars: dict[Any, Equation]
) -> tuple[list[Equation], list[Value]] | None:
    """A condition as choices, number by number, where a loop may make them.

    It leaves all as it is, or does arithmetic on arrays that are in memory, be it in another type:
    the loop, which writes over them, is skipped where nothing moves. None for any other: choices
    would do work in vain.
    """
    branches = condition.params["branches"]
    stays = any(not branch.jaxpr.eqns for branch in branches)
    arrays = [value for value in given if value.scalar is None]
    in_memory = all(
        v.maker is None or (v.looped and v.maker.primitive.name == "convert_element_type")
        for v in arrays
    )
    if len(branches) != 2 or not stays or not in_memory:
        return None

    def chosen(index: Any, *operands: Any) -> list[Any]:
        made = (jaxpr_as_fun(branch)(*operands) for branch in branches)
        return [jax.lax.select_n(index > 0, *pair) for pair in zip(*made, strict=True)]

    closed = jax.make_jaxpr(chosen)(*(value.aval for value in given))
    remembered = dict(scalars)
    equations, made = flat(closed.jaxpr, closed.consts, given, remembered)
    for e in equations:
        by_scalars = all(value.scalar is not None for value in e.outputs)
        if e.effects or not (e.expression or by_scalars):
            return None
    scalars.update(remembered)
    return equations, made


def _placed(equation: Equation) -> Equation:
    """Find whether it may be part of a loop, and at what level it stands."""
    name, inputs, outputs = equation.primitive.name, equation.inputs, equation.outputs
    if name == "broadcast_in_dim" and inputs[0].aval.shape == ():
        outputs[0].spread = inputs[0]
    if _by_numbers(equation):
        equation.expression = _EXPRESSIONS[name]
        simple = name in _SIMPLE and all(value.scalar is None for value in inputs)
        below = frozenset(value for v in inputs if v.maker for value in v.maker.heavy)
        equation.heavy = below if simple and len(below) < 2 else frozenset(outputs)
    levels = [value.level for value in inputs] + [v.level + 1 for v in equation.from_memory]
    equation.level = max(levels, default=0)
    for value in outputs:
        value.maker = equation
    return equation


def _by_numbers(equation: Equation) -> bool:
    """Whether it does the same to each number of arrays, in types and terms known to C."""
    if equation.primitive.name not in _EXPRESSIONS:
        return False
    made = equation.outputs[0].aval
    narrow = equation.primitive.name in _FOR_ALL_TYPES
    return (
        made.shape != ()
        and made.size > 0
        and all(
            value.aval.dtype in TYPES
            and (narrow or value.aval.dtype != jnp.bfloat16)
            and (value.scalar is not None or value.aval.shape == made.shape)
            for value in (*equation.inputs, *equation.outputs)
        )
    )
