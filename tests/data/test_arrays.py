"""ArrayBatches: orders, passes, chunks."""

import jax
import numpy as np
import pytest

from talweg.data import ArrayBatches


def rows(batches: ArrayBatches, index: int) -> list[int]:
    """The row numbers of an epoch."""
    return [int(row) for chunk in batches.epoch(index) for row in chunk.order]


X = np.arange(23.0)[:, None]


@pytest.mark.parametrize("shuffle", [False, True, "batch"])
def test_every_pass_takes_every_row_once(shuffle: bool | str) -> None:
    batches = ArrayBatches(X, batch_size=5, shuffle=shuffle, seed=3)
    assert sorted(rows(batches, 0)) == sorted(rows(batches, 1)) == list(range(23))
    assert batches.steps == 5


def test_the_order_depends_on_seed_and_epoch_only() -> None:
    one = ArrayBatches(X, batch_size=5, shuffle=True, seed=3)
    other = ArrayBatches(X * 2, batch_size=7, shuffle=True, seed=3)
    assert rows(one, 4) == rows(other, 4)
    assert rows(one, 4) == rows(one, 4)
    assert rows(one, 4) != rows(one, 5)
    assert rows(one, 4) != rows(ArrayBatches(X, batch_size=5, shuffle=True, seed=4), 4)


def test_batch_shuffles_whole_batches_and_keeps_the_rest_last() -> None:
    order = rows(ArrayBatches(X, batch_size=5, shuffle="batch", seed=1), 0)
    starts = [order[i] for i in range(0, 20, 5)]
    assert sorted(starts) == [0, 5, 10, 15]
    for i in range(0, 20, 5):
        assert order[i : i + 5] == list(range(order[i], order[i] + 5))
    assert order[20:] == [20, 21, 22]


def test_steps_go_on_across_epochs_and_end_with_the_pass() -> None:
    batches = ArrayBatches(X, batch_size=5, steps=2)
    assert rows(batches, 0) == list(range(10))
    assert rows(batches, 1) == list(range(10, 20))
    with pytest.warns(UserWarning, match="ran out of data"):
        assert rows(batches, 2) == [20, 21, 22]
    assert rows(batches, 3) == list(range(10))


def test_the_batch_size_follows_from_the_steps() -> None:
    assert ArrayBatches(X, batch_size=None).batch_size == 32
    assert ArrayBatches(X, batch_size=None, steps=4).batch_size == 6


def test_what_is_taken_once_stays_on_the_host():
    x = np.arange(10.0, dtype="float32").reshape(5, 2)
    (chunk,) = ArrayBatches(x, batch_size=2, on_device=False).epoch(0)
    assert chunk.data.x is x
    (chunk,) = ArrayBatches(x, batch_size=2).epoch(0)
    assert isinstance(chunk.data.x, jax.Array)
