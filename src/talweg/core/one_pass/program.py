"""A program taken apart: its equations, and the groups of them that one loop can do."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Jaxpr, Literal

# Types of JAX in C.
TYPES = {np.dtype("float32"): "float", np.dtype("float64"): "double", np.dtype("bool"): "uint8_t"}


def _power(x: str, *, y: int, **_: Any) -> str:
    product = " * ".join([x] * abs(y)) or "1"
    return f"1 / ({product})" if y < 0 else product


def _converted(x: str, *, new_dtype: Any, **_: Any) -> str:
    return f"{x} != 0" if new_dtype == np.bool_ else x


# Primitives of JAX in C, with what becomes of numbers that are not numbers (NaN) there. Functions
# that XLA computes for many numbers at once (exp, log, pow) are not among them.
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

# Functions within the program, whose equations are as good as its own.
_INLINED = {"jit", "pjit", "closed_call", "custom_jvp_call", "custom_vjp_call"}


@dataclass(eq=False)
class Value:
    """An array of the program.

    Attributes:
        aval: its shape and type.
        constant: the array itself, where it is known.
        spread: the scalar that it repeats, where it does.
        level: how often what it comes from went from a loop to XLA and back.
        looped: whether a loop may make it.
    """

    aval: Any
    constant: Any = None
    spread: "Value | None" = None
    level: int = 0
    looped: bool = False

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
        number = float(self.constant)
        if math.isnan(number):
            return "NAN"
        if math.isinf(number):
            return "INFINITY" if number > 0 else "(-INFINITY)"
        return f"({number.hex()}{'f' if self.aval.dtype == np.float32 else ''})"


@dataclass(eq=False)
class Equation:
    """An equation of the program; `expression` says it in C where it may be part of a loop."""

    primitive: Any
    params: dict[str, Any]
    inputs: list[Value]
    outputs: list[Value]
    expression: Callable[..., str] | None = None

    @property
    def level(self) -> int:
        """That of what it makes."""
        return max((value.level for value in self.outputs), default=0)

    @property
    def meaning(self) -> Any:
        """What equal equations have in common."""
        given = ((v.aval.dtype, v.literal) if v.literal is not None else v for v in self.inputs)
        try:
            params = frozenset(self.params.items())
        except TypeError:  # something that cannot be compared: it is like no other
            params = object()
        return self.primitive, params, *given


@dataclass(eq=False)
class Group:
    """Equations that one loop can do, in their order."""

    equations: list[Equation]

    @property
    def made(self) -> list[Value]:
        """All that it computes."""
        return [equation.outputs[0] for equation in self.equations]

    @property
    def arrays(self) -> list[Value]:
        """The arrays that it reads, in the order of their first use."""
        made = set(self.made)
        read = dict.fromkeys(v for e in self.equations for v in e.inputs if v.scalar is None)
        return [value for value in read if value not in made]

    @property
    def scalars(self) -> list[Value]:
        """The scalars that it reads, in the order of their first use."""
        read = dict.fromkeys(v.scalar for e in self.equations for v in e.inputs if v.scalar)
        return [value for value in read if value.literal is None]


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
    step anew, and groups that do the same with the same scalars share a call.
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
        elif name == "convert_element_type" and given[0].aval.dtype == e.params["new_dtype"]:
            made = given  # only "weak" types, as JAX calls them, are no longer so
        else:
            made = [Value(variable.aval) for variable in e.outvars]
            equation = Equation(e.primitive, e.params, given, made)
            if e.effects or any(value.aval.shape != () for value in made):
                first = equation
            else:
                first = scalars.setdefault(equation.meaning, equation)
            if first is equation:
                equations.append(_placed(equation))
            made = first.outputs
        known.update(zip(e.outvars, made, strict=True))
    return equations, [look_up(variable) for variable in jaxpr.outvars]


def _placed(equation: Equation) -> Equation:
    """Find whether it may be part of a loop, and at what level it stands."""
    name, inputs, outputs = equation.primitive.name, equation.inputs, equation.outputs
    if name == "broadcast_in_dim" and inputs[0].aval.shape == ():
        outputs[0].spread = inputs[0]
    looped = _by_numbers(equation)
    if looped:
        equation.expression = _EXPRESSIONS[name]
    for value in outputs:
        value.looped = looped
        value.level = max((v.level + (v.looped and not looped) for v in inputs), default=0)
    return equation


def _by_numbers(equation: Equation) -> bool:
    """Whether it does the same to each number of arrays, in types and terms known to C."""
    if equation.primitive.name not in _EXPRESSIONS:
        return False
    made = equation.outputs[0].aval
    return (
        made.shape != ()
        and made.size > 0
        and all(
            value.aval.dtype in TYPES
            and (value.scalar is not None or value.aval.shape == made.shape)
            for value in (*equation.inputs, *equation.outputs)
        )
    )


def groups_of(equations: Iterable[Equation]) -> dict[Equation, Group]:
    """The group of each equation that may be part of a loop.

    Those go together that share arrays, of one shape and one level: what lies at one level does
    not depend on a loop of the same level by way of XLA.
    """
    groups: dict[Equation, Group] = {}
    by_array: dict[Any, Group] = {}
    for equation in equations:
        if equation.expression is None:
            continue
        arrays = [v for v in (*equation.inputs, *equation.outputs) if v.scalar is None]
        keys = [(equation.level, value) for value in arrays]
        near = dict.fromkeys(by_array[key] for key in keys if key in by_array)
        largest = max(near, key=lambda group: len(group.equations), default=Group([]))
        for group in near:
            if group is not largest:
                largest.equations += group.equations
                groups.update(dict.fromkeys(group.equations, largest))
                own = [key for key, other in by_array.items() if other is group]
                by_array.update(dict.fromkeys(own, largest))
        largest.equations.append(equation)
        groups[equation] = largest
        by_array.update(dict.fromkeys(keys, largest))
    places = {equation: k for k, equation in enumerate(groups)}
    for group in set(groups.values()):
        group.equations.sort(key=places.__getitem__)
    return groups


def needed(
    equations: Iterable[Equation], groups: dict[Equation, Group], outputs: Iterable[Value]
) -> set[Value]:
    """What is read outside the group that makes it."""
    makers = {value: groups.get(e) for e in equations for value in e.outputs}
    read = set(outputs)
    for equation in equations:
        own = groups.get(equation)
        read.update(v for v in equation.inputs if own is None or makers.get(v) is not own)
    return read
