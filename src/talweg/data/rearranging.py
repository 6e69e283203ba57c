"""What datasets do beyond one element after the other: windows, joints, turns, padding."""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from talweg.core import errors
from talweg.data import elements as _elements

AUTOTUNE = -1
ENDLESS = float("inf")


class Rearranging:
    """Methods of a dataset that is made of `(elements, pick, length)`."""

    _length: Any
    __iter__: Callable[[], Iterator[Any]]
    _values: Callable[[], Iterator[Any]]

    def __init__(self, elements: Any, pick: Any = None, length: Any = None):
        raise NotImplementedError

    def _listed(self, elements: list[Any]) -> Any:
        """A dataset of elements in hand."""
        return type(self)(lambda: iter(elements), None, len(elements))

    def flat_map(self, map_func: Callable[..., Any], name: Any = None) -> Any:
        """The elements of the datasets that `map_func` makes of each element."""

        def flat() -> Iterator[Any]:
            for element in self:
                yield from _elements.call(map_func, element)._values()

        return type(self)(flat)

    def interleave(
        self, map_func: Callable[..., Any], cycle_length: int | None = None,
        block_length: int | None = None, num_parallel_calls: Any = None, **_: Any,
    ) -> Any:  # fmt: skip
        """As `flat_map`, with `block_length` elements in turn of `cycle_length` datasets.

        Args:
            map_func: makes a dataset of an element.
            cycle_length: how many are read in turn; 4 where it is left open.
            block_length: how many elements of each; 1.
            num_parallel_calls: accepted without effect.
        """
        width = 4 if cycle_length in (None, AUTOTUNE) else int(cycle_length or 1)

        def turns() -> Iterator[Any]:
            made = (_elements.call(map_func, element) for element in self)
            return _elements.in_turn(made, width, int(block_length or 1))

        return type(self)(turns)

    def window(
        self, size: int, shift: int | None = None, stride: int = 1, drop_remainder: bool = False,
        name: Any = None,
    ) -> Any:  # fmt: skip
        """Datasets of `size` elements, each window `shift` elements after the last.

        Args:
            size: elements in a window.
            shift: from the beginning of a window to that of the next; `size` by default.
            stride: from one element of a window to the next.
            drop_remainder: whether windows that the end cuts short are left out.

        >>> from talweg.data.dataset import Dataset
        >>> numbers = Dataset.range(5).window(3, shift=1, drop_remainder=True)
        >>> [rows.tolist() for rows in numbers.flat_map(lambda window: window.batch(3))]
        [[0, 1, 2], [1, 2, 3], [2, 3, 4]]
        """
        step = size if shift is None else shift
        for name_, value in (("size", size), ("shift", step), ("stride", stride)):
            if int(value) < 1:
                raise errors.invalid("Dataset.window", name_, "a positive integer", value)

        def windows() -> Iterator[Any]:
            runs = _elements.windows(self._values(), size, step, stride, drop_remainder)
            return (_elements.columns(run, self._listed) for run in runs)

        length = self._length
        if length not in (None, ENDLESS):
            reach = (size - 1) * stride + 1
            length = max(0, (length - reach) // step + 1) if drop_remainder else -(-length // step)
        return type(self)(windows, None, length)

    def concatenate(self, dataset: Any, name: Any = None) -> Any:
        """These elements, then those of another dataset."""
        lengths = self._length, dataset._length
        return type(self)(
            lambda: chain(self._values(), dataset._values()),
            None,
            None if None in lengths else sum(filter(None, lengths)),
        )

    def padded_batch(
        self, batch_size: int, padded_shapes: Any = None, padding_values: Any = None,
        drop_remainder: bool = False, name: Any = None,
    ) -> Any:  # fmt: skip
        """As `batch`, where the elements are first filled up to the largest of the batch.

        Args:
            batch_size: elements in a batch.
            padded_shapes: sizes in place of the largest; None where that is meant.
            padding_values: what they are filled with; 0, or "" for text.
            drop_remainder: whether a last smaller batch is left out.
        """
        runs = type(self)(self._values, lambda run: run, self._length).batch(
            batch_size, drop_remainder
        )
        return type(self)(
            lambda: (
                _elements.padded(run, padded_shapes, padding_values) for run in runs._elements()
            ),
            None,
            runs._length,
        )

    def reduce(self, initial_state: Any, reduce_func: Callable[..., Any], name: Any = None) -> Any:
        """The last of the states `reduce_func(state, element)`."""
        state = initial_state
        for element in self:
            state = reduce_func(state, element)
        return _elements.worn(state)

    def apply(self, transformation_func: Callable[[Any], Any], name: Any = None) -> Any:
        """`transformation_func` of this dataset."""
        return transformation_func(self)
