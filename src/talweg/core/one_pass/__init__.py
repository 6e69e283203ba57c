"""Arithmetic on large arrays in one pass over memory, on a CPU.

XLA on a CPU makes a pass for each array that a program writes. Adam writes three: it reads and
writes 10 words for each weight, where 7 would do, and arithmetic costs nothing beside memory.
`in_one_pass` takes a function apart, equation by equation (`program`), and joins what is done
number by number to arrays of one shape. Where such a group moves fewer bytes than XLA would, it
becomes a loop in C (`loop`), which the system's compiler makes and XLA calls, on its own threads,
once for all groups that do the same. All else stays XLA's. A condition is looked into, and skipped
by the loop where it does no more than arithmetic; a loop of JAX's is not.

50 million weights, a step of Adam: 50 to 55 ms as XLA compiles it, 32 in one pass, 32 by torch's
fused Adam (jax 0.10.2, torch 2.13, two cores).
"""

import functools
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr

from talweg.core import errors
from talweg.core.compilation import runs_on_cpu
from talweg.core.one_pass import loop
from talweg.core.one_pass.groups import Group, groups_of
from talweg.core.one_pass.program import Equation, Value, behind, flat

# As many numbers are worth a loop: the compiler's tenth of a second comes back within about a
# thousand steps.
LARGE = 1 << 18

_in_one_pass: ContextVar[bool] = ContextVar("talweg_in_one_pass", default=False)

# Elsewhere it has not been tried.
_wanted = sys.platform == "linux"


def fused_updates() -> bool:
    """Whether optimizers update large arrays on a CPU in one pass.

    On Linux it is so from the start, where there is a C compiler.

    >>> fused_updates() in (True, False)
    True
    """
    return _wanted and loop.compiler() is not None


def set_fused_updates(value: bool) -> None:
    """Have optimizers update large arrays on a CPU in one pass over memory, or leave it to XLA.

    It counts for models of a quarter of a million weights and more: Adam takes 32 ms for 50 million
    weights in place of 52, Lion 26 in place of 96. Accelerators do so by themselves; with several
    devices it has no effect. The numbers agree with XLA's to rounding. What is compiled already
    stays as it is, so set it before the first step.

    Each loop is compiled when it is first used, in 0.1 s, in a temporary folder, by `cc` or what
    CC in the environment names.

    Args:
        value: whether to. From the start True on Linux, where there is a C compiler, and False
            elsewhere; TALWEG_FUSED_UPDATES=1 or 0 in the environment sets it.

    Raises:
        TypeError: neither True nor False.
        RuntimeError: True, and there is no C compiler, or none that works.

    >>> set_fused_updates(fused_updates())  # as it is
    """
    global _wanted
    if not isinstance(value, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise errors.wrong_type("set_fused_updates", "value", "True or False", value)
    if value:
        loop.check()
    _wanted = value


def in_use(arrays: Iterable[Any]) -> bool:
    """Whether what is traced now is to be done to `arrays` in one pass.

    They are large enough, and on one CPU: those of several devices would have to be gathered.
    """
    here = runs_on_cpu() and jax.device_count() == 1
    return here and sum(map(jnp.size, arrays)) >= LARGE and fused_updates()


def at_work() -> bool:
    """Whether what is traced now will be taken apart, so that a condition costs next to nothing."""
    return _in_one_pass.get()


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
        token = _in_one_pass.set(True)
        try:
            closed, shapes = jax.make_jaxpr(function, return_shape=True)(*args)
        finally:
            _in_one_pass.reset(token)
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
    places = {outputs[o]: inputs[i] for o, i in in_place.items() if i < len(inputs)}
    over = {v: old for v, old in places.items() if v.aval.dtype == old.aval.dtype}
    held = dict(zip(inputs, arrays, strict=True))

    def read(value: Value) -> Any:
        return held.get(value, value.constant)

    calls = _calls(groups_of(equations, outputs), over)
    order = {equation: k for k, equation in enumerate(equations)}

    def compute(ends: Iterable[Equation | None]) -> None:
        for equation in sorted(behind(ends, lambda v: v not in held), key=order.__getitem__):
            given = [read(value) for value in equation.inputs]
            held.update(zip(equation.outputs, _computed(equation, given, over), strict=True))

    for call in sorted(calls, key=lambda call: call.level):
        compute(value.maker for value in call.inputs if value not in held)
        held.update(call.made(over, read))
    # What prints or the like may return nothing.
    acts = [e for e in equations if e.effects and held.keys().isdisjoint(e.outputs)]
    compute([*acts, *(value.maker for value in outputs if value not in held)])
    return [read(value) for value in outputs]


@dataclass
class _Call:
    """Groups that do the same: a loop does all of them in one call.

    Attributes:
        level: that of the groups.
        text: what the loop does, in C.
        groups: they.
    """

    level: int
    text: str
    groups: list[Group] = field(default_factory=list)

    @property
    def scalars(self) -> list[list[Value]]:
        """The scalars that the loop reads: for each, one that all groups share, or one for each."""
        lists = zip(*(group.scalars for group in self.groups), strict=True)
        return [list(values[:1] if len(set(values)) == 1 else values) for values in lists]

    @property
    def inputs(self) -> list[Value]:
        """What it reads: the arrays, group by group, then each scalar once."""
        scalars = dict.fromkeys(value for values in self.scalars for value in values)
        return [*(array for group in self.groups for array in group.arrays), *scalars]

    @property
    def outputs(self) -> list[Value]:
        """What it writes, group by group."""
        return [value for group in self.groups for value in group.outputs]

    def made(self, over: dict[Value, Value], read: Callable[[Value], Any]) -> dict[Value, Any]:
        """What the loop makes of what `read` gives, over the input where `over` names one."""
        inputs, outputs = self.inputs, self.outputs
        # Only over what its own group reads: others may come later.
        written = [(v, group.arrays) for group in self.groups for v in group.outputs]
        places = {value: i for i, value in enumerate(inputs)}
        call = jax.ffi.ffi_call(
            loop.registered(self.text),
            [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in outputs],
            input_output_aliases={
                places[over[v]]: o for o, (v, arrays) in enumerate(written) if over.get(v) in arrays
            },
            vmap_method="broadcast_all",
        )

        @jax.custom_jvp
        def differentiable(*given: Any) -> Any:
            arrays = given[: sum(len(group.arrays) for group in self.groups)]
            lists = [[given[places[value]] for value in values] for values in self.scalars]
            scalars = [jnp.stack(each) if len(each) > 1 else each[0] for each in lists]
            return call(*arrays, *scalars, _by_additions(given[-1]))

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

        for equation in (equation for group in self.groups for equation in group.equations):
            made = _computed(equation, [*map(read, equation.inputs)], {})
            held.update(zip(equation.outputs, made, strict=True))
        return [held[value] for value in self.outputs]


def _by_additions(array: Any) -> Any:
    """A number that the loop does not read, of a thousand additions.

    XLA counts the arithmetic of a program, not that of the functions which it calls. What has less
    than a thousand operations it runs in the caller's thread: without these, an update of 500
    arrays keeps the caller for 37 ms; with them for 8, and it takes 34.
    """
    first = jnp.ravel(array)[0].astype("float32")
    return jnp.where(jnp.arange(1024) == 0, first, 0).sum()


def _calls(groups: Iterable[Group], over: dict[Value, Value]) -> list[_Call]:
    """The loops of `groups` that are worth a call: of large arrays or many."""
    calls: dict[tuple[int, str], _Call] = {}
    for group in groups:
        key = group.level, loop.written_in_c(group, over)
        calls.setdefault(key, _Call(*key)).groups.append(group)
    large = [c for c in calls.values() if sum(group.size for group in c.groups) >= LARGE]
    return [call for call in large if _compiles(call.text)]


def _compiles(text: str) -> bool:
    """Whether there is a loop; where the compiler fails, XLA does without from then on."""
    try:
        loop.registered(text)
    except RuntimeError as error:
        set_fused_updates(False)
        warnings.warn(f"Updates are left to XLA. {error}", RuntimeWarning, stacklevel=2)
        return False
    return True


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


match os.environ.get("TALWEG_FUSED_UPDATES", "").lower():
    case "1" | "on" | "true" | "yes":
        set_fused_updates(True)
    case "0" | "off" | "false" | "no":
        set_fused_updates(False)
    case "":
        pass
    case other:
        raise errors.invalid("talweg", "TALWEG_FUSED_UPDATES", "1 or 0", other)
