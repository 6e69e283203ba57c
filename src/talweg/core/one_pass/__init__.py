"""Arithmetic on large arrays in one pass over memory, on a CPU.

XLA on a CPU makes a pass for each array that a program writes. Adam writes three: it reads and
writes 10 words for each weight, where 7 would do, and arithmetic costs nothing beside memory.
`in_one_pass` takes a function apart, equation by equation (`program`), and joins what is done
number by number to arrays of one shape. Where such a group writes several arrays, it becomes a
loop in C (`loop`), which the system's compiler makes and XLA calls, on its own threads. All else
stays XLA's. A condition is looked into, a loop is not.

50 million weights, a step of Adam: 50 to 55 ms as XLA compiles it, 32 in one pass, 32 by torch's
fused Adam (jax 0.10.2, torch 2.9, two cores).
"""

import functools
import os
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr

from talweg.core.compilation import runs_on_cpu
from talweg.core.one_pass import loop
from talweg.core.one_pass.program import Equation, Group, Value, flat, groups_of, needed

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
    by themselves. The numbers agree with XLA's to rounding. What is compiled already stays as it
    is, so set it before the first step. Such updates cannot be differentiated.

    Needs a C compiler (`cc`, or what CC in the environment names). It makes each loop when it is
    first used, in 0.1 s, in a temporary folder.

    Args:
        value: whether to. False from the start, or True where the environment has
            TALWEG_FUSED_UPDATES=1.

    Raises:
        RuntimeError: there is no C compiler.

    >>> set_fused_updates(False)
    """
    global _wanted
    if value:
        loop.compiler()
    _wanted = bool(value)


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
    wanted = needed(equations, groups, outputs)
    done = set[Group]()
    # At each level XLA's part comes first: the loops read what it makes.
    for equation in sorted(equations, key=lambda e: (e.level, e.expression is not None)):
        group = groups.get(equation)
        if group in done:
            continue
        if group is not None and len(written := [v for v in group.made if v in wanted]) > 1:
            done.add(group)
            held.update(zip(written, _looped(group, written, over, read), strict=True))
        else:
            given = [read(value) for value in equation.inputs]
            held.update(zip(equation.outputs, _computed(equation, given, over), strict=True))
    return [read(value) for value in outputs]


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


def _looped(
    group: Group, written: Sequence[Value], over: dict[Value, Value], read: Callable[[Value], Any]
) -> Sequence[Any]:
    """What a group makes, by its loop."""
    inputs = group.read
    shapes = [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in written]
    places = {value: i for i, value in enumerate(inputs)}
    call = jax.ffi.ffi_call(
        loop.registered(loop.written_in_c(group, inputs, written)),
        shapes,
        input_output_aliases={
            places[over[v]]: o
            for o, v in enumerate(written)
            if over.get(v) in places and over[v].aval.dtype == v.aval.dtype
        },
        vmap_method="broadcast_all",
    )
    return call(*(read(value) for value in inputs))


if os.environ.get("TALWEG_FUSED_UPDATES", "").lower() in ("1", "on", "true", "yes"):
    set_fused_updates(True)
