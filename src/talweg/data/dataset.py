"""Dataset: what `tf.data.Dataset` is to Keras, read on the host with NumPy."""

from collections.abc import Callable, Iterator
from itertools import chain, islice
from typing import Any

import jax
import numpy as np

from talweg.core import errors
from talweg.core.random import draw_seed, host_generator
from talweg.data import elements as _elements
from talweg.data.rearranging import ENDLESS, Rearranging

UNKNOWN_CARDINALITY = -2
INFINITE_CARDINALITY = -1
_METHODS = (
    "apply batch cache concatenate enumerate filter flat_map interleave map padded_batch prefetch "
    "reduce repeat shard shuffle skip take unbatch window"
)


class _Named(type):
    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise AttributeError(_unknown(name), name=name, obj=None)


class Dataset(Rearranging, metaclass=_Named):
    """A sequence of elements, made anew at each iteration.

    A dataset over arrays passes row numbers along until rows are asked for, so that
    shuffling and batching cost one gather per batch. The elements are NumPy arrays with
    TensorFlow's method `numpy()`; functions are given them one by one and run as they are
    written, with the functions of NumPy, of Python or of `tf`.

    Args:
        elements: makes an iterator of elements, or of row numbers.
        pick: from a row number, or an array of them, to the rows; None for plain elements.
        length: how many elements; None where it is not known, infinity without an end.

    Attributes:
        batch_size: where the elements are batches, how many samples they have.
        class_names, file_paths: of data sets of folders.

    >>> data = Dataset.from_tensor_slices(([1, 2, 3], [0, 1, 0])).batch(2)
    >>> [x.tolist() for x, y in data]
    [[1, 2], [3]]
    """

    batch_size: int | None = None
    class_names: list[str] | None
    file_paths: list[str]

    def __init__(
        self,
        elements: Callable[[], Iterator[Any]],
        pick: Callable[[Any], Any] | None = None,
        length: Any = None,
    ):
        self._elements = elements
        self._pick = pick
        self._length = length

    @classmethod
    def from_tensor_slices(cls, tensors: Any, name: Any = None) -> "Dataset":
        """The rows of an array, or of a tuple or dict of arrays of equal length.

        Raises:
            ValueError: the lengths differ.
        """
        host = jax.tree.map(np.asarray, _elements.arrays(tensors), is_leaf=_is_table)
        lengths = {len(leaf) for leaf in jax.tree.leaves(host)}
        if len(lengths) != 1:
            raise errors.invalid(
                "Dataset.from_tensor_slices", "tensors", "arrays of one length", sorted(lengths)
            )
        count = lengths.pop()
        return cls(
            lambda: iter(range(count)),
            lambda rows: jax.tree.map(lambda leaf: leaf[rows], host),
            count,
        )

    @classmethod
    def from_tensors(cls, tensors: Any, name: Any = None) -> "Dataset":
        """One element: the tensors as they are."""
        element = _elements.arrays(tensors)
        return cls(lambda: iter([element]), None, 1)

    @classmethod
    def from_generator(
        cls, generator: Callable[..., Any], output_types: Any = None, output_shapes: Any = None,
        args: Any = (), output_signature: Any = None, name: Any = None,
    ) -> "Dataset":  # fmt: skip
        """What `generator(*args)` yields, in the types of `output_signature` if there is one."""
        signature = output_types if output_signature is None else output_signature

        def made() -> Iterator[Any]:
            yielded = map(_elements.arrays, generator(*(args or ())))
            if signature is None:
                return yielded
            return (_elements.typed(element, signature) for element in yielded)

        return cls(made)

    @classmethod
    def range(cls, *args: int, **_: Any) -> "Dataset":
        """Integers, as Python's `range`."""
        numbers = np.arange(*args)
        return cls.from_tensor_slices(numbers)

    @classmethod
    def zip(cls, *datasets: Any, **_: Any) -> "Dataset":
        """Tuples of one element of each dataset."""
        parts = datasets[0] if len(datasets) == 1 else datasets
        lengths = [part._length for part in parts]
        known = None if None in lengths else min(lengths)
        return cls(lambda: iter(zip(*parts, strict=False)), None, known)

    def _values(self) -> Iterator[Any]:
        elements = self._elements()
        return elements if self._pick is None else map(self._pick, elements)

    def as_numpy_iterator(self) -> Iterator[Any]:
        """The elements as plain NumPy arrays; text comes as bytes."""
        return map(_elements.plain, self._values())

    def __iter__(self) -> Iterator[Any]:
        return map(_elements.worn, self._values())

    @property
    def element_spec(self) -> Any:
        """The shape and type of the first element."""
        return _elements.spec(next(self._values()))

    def __len__(self) -> int:
        if self._length in (None, ENDLESS):
            raise TypeError("This dataset has no end, or its number of elements is not known.")
        return self._length

    def cardinality(self) -> Any:
        """The number of elements, -2 where it is not known, -1 where there is no end."""
        named = {None: UNKNOWN_CARDINALITY, ENDLESS: INFINITE_CARDINALITY}
        return _elements.worn(np.int64(named.get(self._length, self._length)))

    def batch(
        self,
        batch_size: int,
        drop_remainder: bool = False,
        num_parallel_calls: Any = None,
        **_: Any,
    ) -> "Dataset":
        """Runs of `batch_size` elements, stacked; the last one may be shorter."""
        batch_size = int(batch_size)
        if batch_size < 1:
            raise errors.invalid("Dataset.batch", "batch_size", "a positive integer", batch_size)
        pick = self._pick

        def batches() -> Iterator[Any]:
            elements = self._elements()
            while run := list(islice(elements, batch_size)):
                if len(run) == batch_size or not drop_remainder:
                    yield _elements.stack(run) if pick is None else pick(_elements.run_of(run))

        length = self._length
        if length not in (None, ENDLESS):
            length = length // batch_size if drop_remainder else -(-length // batch_size)
        batched = Dataset(batches, None, length)
        batched.batch_size = batch_size
        return batched

    def unbatch(self, name: Any = None) -> "Dataset":
        """The rows of the batches."""

        def rows() -> Iterator[Any]:
            for batch in self:
                yield from Dataset.from_tensor_slices(batch)._values()

        return Dataset(rows)

    def shuffle(
        self, buffer_size: int, seed: int | None = None, reshuffle_each_iteration: Any = None,
        name: Any = None,
    ) -> "Dataset":  # fmt: skip
        """Elements drawn at random from the next `buffer_size`, anew at each iteration."""
        seed = draw_seed() if seed is None else int(seed)
        passes = 0

        def shuffled() -> Iterator[Any]:
            nonlocal passes
            generator = host_generator(seed, passes)
            passes += reshuffle_each_iteration is not False
            elements = self._elements()
            buffer = list(islice(elements, int(buffer_size)))
            for element in elements:
                at = int(generator.integers(len(buffer)))
                buffer[at], element = element, buffer[at]
                yield element
            yield from (buffer[i] for i in generator.permutation(len(buffer)))

        return Dataset(shuffled, self._pick, self._length)

    def repeat(self, count: int | None = None, name: Any = None) -> "Dataset":
        """So many times over; without end by default."""
        endless = count is None or count < 0

        def repeated() -> Iterator[Any]:
            times = iter(int, 1) if endless else range(int(count or 0))
            return chain.from_iterable(self._elements() for _ in times)

        length = ENDLESS if endless else self._length and self._length * int(count or 0)
        return Dataset(repeated, self._pick, length)

    def take(self, count: int, name: Any = None) -> "Dataset":
        """The first `count` elements; all where it is -1."""
        count = int(count)
        if count < 0:
            return self
        length = None if self._length is None else min(self._length, count)
        return Dataset(lambda: islice(self._elements(), count), self._pick, length)

    def skip(self, count: int, name: Any = None) -> "Dataset":
        """Without the first `count` elements; without any where it is -1."""
        count = int(count)
        if count < 0:
            return self.take(0)
        length = None if self._length is None else max(self._length - count, 0)
        return Dataset(lambda: islice(self._elements(), count, None), self._pick, length)

    def shard(self, num_shards: int, index: int, name: Any = None) -> "Dataset":
        """Every `num_shards`-th element, from `index` on."""
        length = self._length
        if length not in (None, ENDLESS):
            length = len(range(index, length, num_shards))
        return Dataset(
            lambda: islice(self._elements(), index, None, num_shards), self._pick, length
        )

    def map(self, map_func: Callable[..., Any], *_: Any, **__: Any) -> "Dataset":
        """`map_func` of each element; a tuple's parts come as its arguments."""
        return Dataset(
            lambda: (_elements.arrays(_elements.call(map_func, element)) for element in self),
            None,
            self._length,
        )

    def filter(self, predicate: Callable[..., Any], name: Any = None) -> "Dataset":
        """The elements for which `predicate` holds."""

        def kept() -> Iterator[Any]:
            for element in self:
                if bool(_elements.call(predicate, element)):
                    yield element

        return Dataset(kept)

    def enumerate(self, start: int = 0, name: Any = None) -> "Dataset":
        """Pairs of a number and an element."""
        return Dataset(lambda: enumerate(self, start), None, self._length)

    def cache(self, filename: str = "", name: Any = None) -> "Dataset":
        """The same elements, kept in memory after the first whole iteration."""
        kept: list[Any] | None = None

        def cached() -> Iterator[Any]:
            nonlocal kept
            if kept is None:
                seen = []
                for element in self._elements():
                    seen.append(element)
                    yield element
                kept = seen
            else:
                yield from kept

        return Dataset(cached, self._pick, self._length)

    def prefetch(self, buffer_size: int, name: Any = None) -> "Dataset":
        """The dataset itself: `fit` prepares batches ahead."""
        return self

    def with_options(self, options: Any, name: Any = None) -> "Dataset":
        """The dataset itself."""
        return self

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(_unknown(name), name=name, obj=None)


def _unknown(name: str) -> str:
    return (
        f"talweg's Dataset has no {name!r}. It has from_tensor_slices, from_tensors, "
        f"from_generator, range, zip, {', '.join(_METHODS.split())}. Prepare the rest as arrays."
    )


def _is_table(value: Any) -> bool:
    return hasattr(value, "iloc")
