"""Arithmetic on large arrays in one pass over memory, on a CPU.

XLA on a CPU makes a pass for each array that a program writes. Adam writes three: it reads and
writes 10 words for each weight, where 7 would do, and arithmetic costs nothing beside memory.
`in_one_pass` takes a function apart, equation by equation (`program`), and joins what is done
number by number to arrays of one shape. Where such a group writes several arrays, it becomes a
loop in C (`loop`), which the system's compiler makes and XLA calls, on its own threads, once for
all groups that do the same. All else stays XLA's. A condition is looked into, a loop is not.

50 million weights, a step of Adam: 50 to 55 ms as XLA compiles it, 32 in one pass, 32 by torch's
fused Adam (jax 0.10.2, torch 2.13, two cores).
"""

import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr

from talweg.core import errors
from talweg.core.compilation import runs_on_cpu
from talweg.core.one_pass import loop
from talweg.core.one_pass.program import Equation, Group, Value, flat, groups_of, needed

# As many numbers are worth a call of a loop: fewer stay in the cache between XLA's passes.
LARGE = 1 << 16

_wanted = False


def fused_updates() -> bool:
    """Whether optimizers update large arrays on a CPU in one pass: False unless set.

    >>> fused_updates()
    False
    """
    return _wanted


def set_fused_updates(value: bool) -> None:
    """Have optimizers update large arrays on a CPU in one pass over memory, or leave it to XLA.

    For models of millions of weights on a CPU, whose update takes a good part of the step: Adam
    takes 32 ms for 50 million weights in place of 52, Lion 26 in place of 100. Accelerators do so
    by themselves; with several devices it has no effect. The numbers agree with XLA's to rounding.
    What is compiled already stays as it is, so set it before the first step.

    Needs a C compiler (`cc`, or what CC in the environment names). It makes each loop when it is
    first used, in 0.1 s, in a temporary folder.

    Args:
        value: whether to. False from the start, or True where the environment has
            TALWEG_FUSED_UPDATES=1.

    Raises:
        TypeError: neither True nor False.
        RuntimeError: there is no C compiler.

    >>> set_fused_updates(False)
    """
    global _wanted
    if not isinstance(value, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise errors.wrong_type("set_fused_updates", "value", "True or False", value)
    if value:
        loop.compiler()
    _wanted = value


def in_use() -> bool:
    """Whether what is traced now is to be done in one pass.

    Arrays that lie on several devices would have to be gathered for it.
    """
    return _wanted and runs_on_cpu() and jax.device_count() == 1


def in_one_pass(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, with its arithmetic on large arrays in as few passes as it may be.

    An output is written over the input in its place, if the loop that makes it reads that:
    `step(params, state, …) -> (params, state)` updates in place where it is jitted with both
    donated.

    >>> def step(x, m):
    ...     m = 0.9 * m + x
    ...     return x - 0.1 * m, m
    >>> x = jnp.ones(100)  # too small: XLA does it
    >>> round(float(jax.jit(in_one_pass(step))(x, x)[0][0]), 2)
    0.81
    """

    def run(*args: Any) -> Any:
        closed, shapes = jax.make_jaxpr(function, return_shape=True)(*args)
        arrays = [jnp.asarray(leaf) for leaf in jax.tree.leaves(args)]
        in_place = {place: place for place in range(len(closed.jaxpr.outvars))}
        return jax.tree.unflatten(jax.tree.structure(shapes), _run(closed, in_place, *arrays))

    return run


def _run(closed: ClosedJaxpr, in_place: dict[int, int], *arrays: Any) -> list[Any]:
    """Compute a program.

    Args:
        closed: the program.
        in_place: for outputs, by their place, the input that each may be written over.
        arrays: its inputs.
    """
    inputs = [Value(variable.aval) for variable in closed.jaxpr.invars]
    equations, outputs = flat(closed.jaxpr, closed.consts, inputs)
    over = {outputs[o]: inputs[i] for o, i in in_place.items() if i < len(inputs)}
    held = dict(zip(inputs, arrays, strict=True))

    def read(value: Value) -> Any:
        return held.get(value, value.constant)

    groups = groups_of(equations)
    calls = _calls(groups, needed(equations, groups, outputs))
    looped = {group for call in calls for group in call.outputs}
    for level in sorted({equation.level for equation in equations}):
        for equation in equations:
            if equation.level == level and groups.get(equation) not in looped:
                given = [read(value) for value in equation.inputs]
                held.update(zip(equation.outputs, _computed(equation, given, over), strict=True))
        for call in calls:
            if call.level == level:
                held.update(call.made(over, read))
    return [read(value) for value in outputs]


@dataclass(frozen=True)
class _Call:
    """Groups that do the same with the same scalars: a loop does all of them in one call.

    Attributes:
        level: that of the groups.
        text: what the loop does, in C.
        scalars: what it reads beside arrays.
        outputs: what each group must write.
    """

    level: int
    text: str
    scalars: tuple[Value, ...]
    outputs: dict[Group, list[Value]] = field(default_factory=dict, compare=False)

    @property
    def size(self) -> int:
        """How many numbers each of its passes would write."""
        return sum(outputs[0].aval.size for outputs in self.outputs.values())

    def made(self, over: dict[Value, Value], read: Callable[[Value], Any]) -> dict[Value, Any]:
        """What the loop makes of what `read` gives, over the input where `over` names one."""
        inputs = [*(array for group in self.outputs for array in group.arrays), *self.scalars]
        outputs = [value for group in self.outputs.values() for value in group]
        places = {value: i for i, value in enumerate(inputs)}
        call = jax.ffi.ffi_call(
            loop.registered(self.text),
            [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in outputs],
            input_output_aliases={
                places[over[v]]: o
                for o, v in enumerate(outputs)
                if over.get(v) in places and over[v].aval.dtype == v.aval.dtype
            },
            vmap_method="broadcast_all",
        )
        differentiable = jax.custom_jvp(lambda *arrays: call(*arrays, _by_additions(arrays[-1])))

        @differentiable.defjvp
        def _(arrays: Any, tangents: Any) -> Any:
            return jax.jvp(lambda *arrays: self.made_by_xla(inputs, arrays), arrays, tangents)

        return dict(zip(outputs, differentiable(*map(read, inputs)), strict=True))

    def made_by_xla(self, inputs: Sequence[Value], arrays: Sequence[Any]) -> list[Any]:
        """The same without the loop, to be differentiated."""
        held = dict(zip(inputs, arrays, strict=True))

        def read(value: Value) -> Any:
            if value.scalar is None or value in held:
                return held[value]
            return jnp.broadcast_to(held.get(value.scalar, value.scalar.constant), value.aval.shape)

        for equation in (equation for group in self.outputs for equation in group.equations):
            made = _computed(equation, [*map(read, equation.inputs)], {})
            held.update(zip(equation.outputs, made, strict=True))
        return [held[value] for group in self.outputs.values() for value in group]


def _by_additions(array: Any) -> Any:
    """A number that the loop does not read, of a thousand additions.

    XLA counts the arithmetic of a program, not that of the functions which it calls. What has less
    than a thousand operations it runs in the caller's thread: without these, an update of 500
    arrays keeps the caller for 37 ms; with them for 8, and it takes 34.
    """
    first = jnp.ravel(array)[0].astype("float32")
    return jnp.where(jnp.arange(1024) == 0, first, 0).sum()


def _calls(groups: dict[Equation, Group], wanted: set[Value]) -> list[_Call]:
    """The loops that help: those that write several arrays, large ones or many."""
    calls: dict[_Call, _Call] = {}
    for group in dict.fromkeys(groups.values()):
        outputs = [value for value in group.made if value in wanted]
        if len(outputs) > 1:
            text = loop.written_in_c(group, outputs)
            new = _Call(group.equations[0].level, text, tuple(group.scalars))
            calls.setdefault(new, new).outputs[group] = outputs
    return [call for call in calls if call.size >= LARGE]


def _computed(equation: Equation, given: Sequence[Any], over: dict[Value, Value]) -> Sequence[Any]:
    """What XLA makes of an equation; the branches of a condition are programs like the whole."""
    if equation.primitive.name == "cond":
        places = {value: i for i, value in enumerate(equation.inputs[1:])}
        in_place = {
            o: places[over[value]]
            for o, value in enumerate(equation.outputs)
            if over.get(value) in places
        }
        branches = equation.params["branches"]
        runs = [functools.partial(_run, branch, in_place) for branch in branches]
        return jax.lax.switch(given[0], runs, *given[1:])
    made = equation.primitive.bind(*given, **equation.params)
    return made if equation.primitive.multiple_results else [made]


if os.environ.get("TALWEG_FUSED_UPDATES", "").lower() in ("1", "on", "true", "yes"):
    set_fused_updates(True)
