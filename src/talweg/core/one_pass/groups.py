"""The groups of a program's equations that one loop can do, and whether it pays."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from talweg.core.one_pass.program import Equation, Value, behind

# What stands between these is XLA's, which does several at once: a loop would wait for all.
_PRODUCTS = {"dot_general", "conv_general_dilated"}


@dataclass(eq=False)
class Group:
    """What one loop can do: write arrays of one shape, number by number, out of others.

    Attributes:
        level: it follows all equations of this level.
        equations: all that lead from the arrays it reads to those it writes, in their order.
        outputs: what it writes.
    """

    level: int
    equations: list[Equation]
    outputs: list[Value]

    @property
    def arrays(self) -> list[Value]:
        """The arrays that it reads, in the order of their first use."""
        made = {equation.outputs[0] for equation in self.equations}
        read = dict.fromkeys(v for e in self.equations for v in e.inputs if v.scalar is None)
        return [value for value in read if value not in made]

    @property
    def scalars(self) -> list[Value]:
        """The scalars that it reads, in the order of their first use."""
        read = dict.fromkeys(v.scalar for e in self.equations for v in e.inputs if v.scalar)
        return [value for value in read if value.literal is None]

    def skipped(self, over: Mapping[Value, Value]) -> tuple[Value, bool] | None:
        """A scalar, and what it is where nothing moves: all outputs are what they are written over.

        Args:
            over: for outputs, the input that each is written over.
        """
        makers = [value.maker for value in self.outputs if value.maker]
        if len({(e.primitive.name, e.inputs[0]) for e in makers}) > 1:
            return None
        if makers[0].primitive.name == "select_n" and makers[0].inputs[0].scalar:
            for which in (False, True):
                if all(over.get(e.outputs[0]) is e.inputs[1 + which] for e in makers):
                    return makers[0].inputs[0], which
        return None

    @property
    def size(self) -> int:
        """How many numbers each of its outputs has."""
        return self.outputs[0].aval.size

    def saves(self, in_memory: Collection[Value]) -> bool:
        """Whether it moves fewer bytes than XLA does, by a pass for each array that it writes.

        Args:
            in_memory: what is there in any case, though XLA might make it where it is read.
        """
        stored = {*in_memory, *self.outputs}
        by_xla = sum(
            _bytes(_sources(value, stored - {value})) + value.bytes for value in self.outputs
        )
        extra = [v for v in self.arrays if v.joined and v not in in_memory]
        by_loop = _bytes([*self.arrays, *self.outputs, *extra])
        return by_loop + sum(_bytes(_sources(value, in_memory)) for value in extra) < by_xla


def _bytes(values: Iterable[Value]) -> int:
    return sum(value.bytes for value in values)


def _sources(value: Value, in_memory: Collection[Value]) -> set[Value]:
    """What XLA reads in memory to make a value."""
    inner = behind([value.maker], lambda v: v.scalar is None and v.joined and v not in in_memory)
    read = {v for e in inner for v in e.inputs if v.scalar is None}
    return read - {v for e in inner for v in e.outputs}


def groups_of(equations: Sequence[Equation], outputs: Sequence[Value]) -> list[Group]:
    """The groups whose loops save something.

    A loop writes what XLA must find in memory, and beside it what the program returns and comes
    from the same arrays; and at last all else that the program returns. What leads there from what
    is in memory is computed anew, in each loop and by XLA: arithmetic is cheap beside memory.
    """
    order = {equation: k for k, equation in enumerate(equations)}
    needed = {value for equation in equations for value in equation.from_memory}
    stored = needed | {value for value in outputs if value.looped}
    left = [v for e in equations for v in e.outputs if v in stored]
    last = max((equation.level for equation in equations), default=0)
    written: set[Value] = set()  # at levels before
    found: list[Group] = []
    for level in range(last + 1):
        groups: dict[Value, Group] = {}
        for urgent in (True, False):
            for value in left:
                if value.level > level or (value in needed and value.level == level) != urgent:
                    continue
                inner = behind([value.maker], lambda v: v.looped and v not in written)
                new = Group(level, [*inner], [value])
                arrays = new.arrays
                near = [*dict.fromkeys(groups[array] for array in arrays if array in groups)]
                if urgent or near or level == last:
                    for group in near:
                        arrays += group.arrays
                        new.equations += group.equations
                        new.outputs += group.outputs
                    groups.update(dict.fromkeys(arrays, new))
        for group in dict.fromkeys(groups.values()):
            group.equations = sorted(set(group.equations), key=order.__getitem__)
            made = (equation.outputs[0] for equation in group.equations)
            group.outputs = [value for value in made if value in group.outputs]
            found.append(group)
            written.update(group.outputs)
        left = [value for value in left if value not in written]
    in_memory = {*needed, *outputs}
    products = [e for e in equations if e.primitive.name in _PRODUCTS]
    between = {v for e in products for v in (*e.inputs, *e.outputs)}
    return [
        group
        for group in found
        if between.isdisjoint((*group.arrays, *group.outputs)) and group.saves(in_memory)
    ]
