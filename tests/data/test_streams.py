"""Streams: generators, PyDatasets, and loaders by duck type, against arrays and Keras."""

import threading
import time
import traceback
import warnings
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest

import talweg
from models.twins import Twins, assert_same_history, assert_same_weights, numbers, twins
from talweg import layers
from talweg.core.random import set_random_seed
from talweg.data import StreamBatches
from talweg.data.py_dataset import batches_of

# Keras's own arrays trip over NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

X, Y = numbers(60)
BATCHES = [(X[i : i + 10], Y[i : i + 10]) for i in range(0, 60, 10)]


def build(k: Any) -> Any:
    model = k.Sequential([k.layers.Input((4,)), k.layers.Dense(3), k.layers.Dense(1)])
    model.compile(k.optimizers.SGD(0.05), "mse", metrics=["mae"])
    return model


def fresh() -> Any:
    set_random_seed(0)
    return build(talweg)


class Torchlike:
    """As a torch DataLoader: a length, and a new iterator of tensors each time."""

    class Tensor:
        def __init__(self, array: Any) -> None:
            self._array = array
            self.shape = array.shape
            self.dtype = "torch.float32"

        def detach(self) -> "Torchlike.Tensor":
            return self

        def cpu(self) -> "Torchlike.Tensor":
            return self

        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            return np.asarray(self._array, dtype)

    def __init__(self, batches: Any) -> None:
        self.batches = batches
        self.opened = 0

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Any]:
        self.opened += 1
        for batch in self.batches:
            yield [self.Tensor(part) for part in batch]


class TensorFlowLike:
    """As a tf.data.Dataset: a cardinality that `len` may not give, tensors with .numpy()."""

    class Tensor:
        def __init__(self, array: Any) -> None:
            self._array, self.shape, self.dtype = array, array.shape, "float32"

        def numpy(self) -> Any:
            return self._array

        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            return np.asarray(self._array, dtype)

    def __init__(self, batches: Any) -> None:
        self.batches = batches

    def __len__(self) -> int:
        raise TypeError("The dataset length is unknown.")

    def __iter__(self) -> Iterator[Any]:
        return iter([tuple(map(self.Tensor, batch)) for batch in self.batches])


class GrainLike:
    """As a grain.DataLoader: iterable, no length, NumPy batches."""

    def __init__(self, batches: Any) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[Any]:
        return iter(self.batches)


class Sequence(talweg.utils.PyDataset):
    """A PyDataset that writes down what is asked of it."""

    def __init__(self, batches: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batches = batches
        self.events: list[Any] = []

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Any:
        self.events.append(index)
        return self.batches[index]

    def on_epoch_begin(self) -> None:
        self.events.append("begin")

    def on_epoch_end(self) -> None:
        self.events.append("end")


SOURCES = {
    "list of a loader": Torchlike,
    "a dataset without a length": TensorFlowLike,
    "a bare iterable": GrainLike,
    "a PyDataset": Sequence,
}


@pytest.mark.usefixtures("fully_compiled")
@pytest.mark.sampled(count=2)
@pytest.mark.parametrize("kind", SOURCES)
def test_every_source_trains_as_the_same_arrays_do(kind: str) -> None:
    source = SOURCES[kind]
    arrays, streamed = fresh(), fresh()
    one = arrays.fit(X, Y, batch_size=10, epochs=3, shuffle=False, verbose=0,
                     validation_data=(X[:30], Y[:30]), validation_batch_size=10)  # fmt: skip
    other = streamed.fit(source(BATCHES), epochs=3, shuffle=False, verbose=0,
                         validation_data=source(BATCHES[:3]))  # fmt: skip
    assert list(one.history) == list(other.history)
    for name in one.history:
        np.testing.assert_allclose(one.history[name], other.history[name], rtol=1e-5)
    for a, b in zip(arrays.get_weights(), streamed.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    evaluated = streamed.evaluate(source(BATCHES), verbose=0)
    np.testing.assert_allclose(evaluated, arrays.evaluate(X, Y, verbose=0), rtol=1e-5)
    np.testing.assert_allclose(
        streamed.predict(source([(x,) for x, _ in BATCHES]), verbose=0),
        arrays.predict(X, verbose=0),
        rtol=1e-5,
    )
    assert other.params["steps"] is None or other.params["steps"] == 6


def test_a_loader_is_opened_once_per_epoch() -> None:
    loader = Torchlike(BATCHES)
    fresh().fit(loader, epochs=3, verbose=0)
    assert loader.opened == 3


# -- against Keras -----------------------------------------------------------------------


class Endless:
    """A generator without end that counts what was taken of it."""

    def __init__(self, weights: bool = False) -> None:
        self.taken = 0
        self.weights = weights

    def __iter__(self) -> Iterator[Any]:
        while True:
            x, y = BATCHES[self.taken % 6]
            self.taken += 1
            yield (x, y, np.arange(10.0) + 1) if self.weights else (x, y)


@pytest.mark.parametrize("weights", [False, True])
def test_a_generator_goes_on_across_epochs_as_in_keras(weights: bool) -> None:
    pair = twins(build)
    histories = []
    for model in pair:
        source = Endless(weights)
        histories.append(
            model.fit(iter(source), steps_per_epoch=4, epochs=3, shuffle=False, verbose=0)
        )
        if model is pair.talweg:
            assert source.taken == 12
    assert_same_history(histories[1], histories[0])
    assert_same_weights(pair)


def test_a_generator_that_ends_early_warns_as_in_keras() -> None:
    pair = twins(build)
    histories = []
    for model in pair:
        with pytest.warns(UserWarning, match="ran out of data"):
            histories.append(
                model.fit((batch for batch in BATCHES), steps_per_epoch=9, shuffle=False, verbose=0)
            )
    assert_same_history(histories[1], histories[0])
    assert_same_weights(pair)


def test_a_used_up_generator_ends_the_training() -> None:
    """Keras trains on its first two batches once more, silently."""
    model = fresh()
    with pytest.warns(UserWarning, match="only 0 came"):
        history = model.fit(iter(BATCHES), epochs=5, verbose=0)
    assert history.epoch == [0]
    assert int(model.optimizer.iterations) == 6


class KerasSequence(keras.utils.PyDataset):
    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> Any:
        return BATCHES[index]


@pytest.mark.parametrize("steps", [3, 6, 4])
def test_a_pydataset_with_steps_per_epoch_follows_keras(steps: int) -> None:
    pair = twins(build)
    histories = []
    for model, source in zip(pair, (KerasSequence(), Sequence(BATCHES)), strict=True):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            histories.append(
                model.fit(source, steps_per_epoch=steps, epochs=4, shuffle=False, verbose=0)
            )
        ran_out = [w for w in caught if "ran out of data" in str(w.message)]
        assert bool(ran_out) == (steps == 4)
    assert_same_history(histories[1], histories[0])
    assert_same_weights(pair)


def test_validation_starts_anew_each_epoch_as_in_keras() -> None:
    pair = twins(build)
    histories = [
        model.fit(X, Y, batch_size=10, epochs=3, shuffle=False, verbose=0,
                  validation_data=source, validation_steps=2)
        for model, source in zip(pair, (KerasSequence(), Sequence(BATCHES)), strict=True)
    ]  # fmt: skip
    assert_same_history(histories[1], histories[0])


def test_class_weights_reach_the_batches_of_a_stream() -> None:
    y = (X[:, 0] > 0).astype("int32")
    batches = [(X[i : i + 10], y[i : i + 10]) for i in range(0, 60, 10)]

    def classifier(k: Any) -> Any:
        model = k.Sequential([k.layers.Input((4,)), k.layers.Dense(2, activation="softmax")])
        model.compile(k.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
        return model

    arrays, streamed = twins(classifier), twins(classifier)
    streamed.talweg.set_weights(arrays.talweg.get_weights())
    arguments = {"class_weight": {0: 1.0, 1: 4.0}, "shuffle": False, "verbose": 0}
    arrays.talweg.fit(X, y, batch_size=10, **arguments)
    streamed.talweg.fit(GrainLike(batches), **arguments)
    assert_same_weights(Twins(arrays.talweg, streamed.talweg))


# -- PyDataset ---------------------------------------------------------------------------


def test_a_pydataset_hears_the_ends_of_its_epochs_in_order() -> None:
    dataset = Sequence(BATCHES)
    seen: list[Any] = []

    class Hooks(talweg.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            dataset.events.append("callback begin")

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            dataset.events.append("callback end")
            seen.append(list(dataset.events))

    fresh().fit(dataset, epochs=2, shuffle=False, verbose=0, callbacks=[Hooks()])
    epoch = ["callback begin", "begin", *range(6), "end", "callback end"]
    assert dataset.events == [0, *epoch, *epoch]  # the first to know the shapes


def test_a_pydataset_is_shuffled_by_batch() -> None:
    dataset = Sequence(BATCHES)
    fresh().fit(dataset, epochs=2, verbose=0)
    first, second = dataset.events[2:8], dataset.events[10:16]
    assert sorted(first) == sorted(second) == list(range(6))
    assert first != list(range(6)) or second != list(range(6))
    assert first != second


def test_a_pydataset_may_change_its_length_after_an_epoch() -> None:
    class Growing(Sequence):
        def on_epoch_end(self) -> None:
            self.batches = [*self.batches, *BATCHES[:1]]

    class Shrinking(Sequence):
        def on_epoch_end(self) -> None:
            self.batches = self.batches[1:]

    model = fresh()
    model.fit(Growing(BATCHES[:2]), epochs=3, verbose=0)
    assert int(model.optimizer.iterations) == 2 + 3 + 4
    model.fit(Shrinking(BATCHES[:3]), epochs=2, verbose=0)
    assert int(model.optimizer.iterations) == 9 + 3 + 2


def test_an_endless_pydataset_needs_steps() -> None:
    class NoEnd(Sequence):
        num_batches = None

        def __getitem__(self, index: int) -> Any:
            return BATCHES[index % 6]

    model = fresh()
    with pytest.raises(ValueError, match=r"steps_per_epoch.*given where it has no end"):
        model.fit(NoEnd([]), verbose=0)
    model.fit(NoEnd([]), steps_per_epoch=5, epochs=2, verbose=0)
    assert int(model.optimizer.iterations) == 10


def test_the_workers_of_a_pydataset_compute_at_once_and_keep_the_order() -> None:
    class Together(Sequence):
        meeting = threading.Barrier(3, timeout=30)  # three must be at work for any to go on

        def __getitem__(self, index: int) -> Any:
            self.meeting.wait()
            return super().__getitem__(index)

    together = Together(BATCHES, workers=3)
    assert list(batches_of(together)) == BATCHES
    one, several = fresh(), fresh()
    first = one.fit(Sequence(BATCHES), epochs=2, verbose=0, shuffle=False)
    source = Sequence(BATCHES, workers=3, use_multiprocessing=True, max_queue_size=2)
    second = several.fit(source, epochs=2, verbose=0, shuffle=False)
    np.testing.assert_allclose(first.history["loss"], second.history["loss"], rtol=1e-6)
    assert list(batches_of(source, shuffle=True)) == list(
        batches_of(Sequence(BATCHES), shuffle=True)
    )


def test_workers_are_ahead_by_the_length_of_the_queue_and_end_with_their_reader() -> None:
    source = Sequence(BATCHES, workers=2, max_queue_size=3)
    reading = batches_of(source)
    assert next(reading) is BATCHES[0]
    reading.close()
    assert max(source.events) <= 3
    assert not [t for t in threading.enumerate() if t.name.startswith("talweg-worker")]


def test_what_a_worker_raises_ends_the_fit() -> None:
    class Broken(Sequence):
        def __getitem__(self, index: int) -> Any:
            if index == 4:
                raise OSError("picture 4 is torn")
            return super().__getitem__(index)

    with pytest.raises(OSError, match="picture 4 is torn"):
        fresh().fit(Broken(BATCHES, workers=2), verbose=0, shuffle=False)


def test_a_pydataset_need_not_call_the_constructor_of_its_base() -> None:
    class Bare(Sequence):
        def __init__(self) -> None:
            self.batches, self.events = BATCHES, []

    assert list(batches_of(Bare())) == BATCHES


# -- read-ahead, errors, ends ------------------------------------------------------------


def data_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "talweg-data"]


def test_read_ahead_is_bounded_and_ends_with_the_fit() -> None:
    source = Endless()

    class Stop(talweg.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if batch == 3:
                self.model.stop_training = True

    model = fresh()
    model.fit(iter(source), steps_per_epoch=10_000, epochs=3, verbose=0, callbacks=[Stop()])
    assert int(model.optimizer.iterations) == 4
    assert source.taken < 100
    assert not data_threads()
    taken = source.taken
    time.sleep(0.05)
    assert source.taken == taken


def test_nothing_is_lost_between_two_fits_on_one_generator() -> None:
    source = Endless()
    batches = iter(source)
    one, other = fresh(), fresh()
    one.fit(batches, steps_per_epoch=4, epochs=1, verbose=0)
    one.fit(batches, steps_per_epoch=4, epochs=1, verbose=0)
    other.fit(iter(Endless()), steps_per_epoch=8, epochs=1, verbose=0)
    assert source.taken == 8
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_an_exception_in_a_generator_reaches_the_user_with_its_own_traceback() -> None:
    def broken() -> Any:
        for i, batch in enumerate(BATCHES):
            if i == 3:
                raise LookupError("the third file is missing")
            yield batch

    model = fresh()
    with pytest.raises(LookupError, match="the third file") as caught:
        model.fit(broken(), verbose=0)
    frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert frames[-1] == "broken"
    assert "fit" in frames
    assert not data_threads()
    model.fit(X, Y, verbose=0)


def test_a_slow_source_is_trained_on_batch_by_batch() -> None:
    """Sixteen batches are not waited for when they come slowly."""
    moments: list[float] = []

    class Moments(talweg.callbacks.Callback):
        def on_block_end(self, step: int, logs: Any = None) -> None:
            moments.append(time.perf_counter())

    def slow() -> Any:
        for batch in BATCHES:
            time.sleep(0.08)
            yield batch

    model = fresh()
    model.fit(X, Y, batch_size=10, verbose=0)
    model.fit(slow(), verbose=0, callbacks=[Moments()])
    assert len(moments) >= 4


def test_a_ragged_last_batch_and_changing_sizes_train_in_order() -> None:
    parts = [(X[a:b], Y[a:b]) for a, b in ((0, 10), (10, 20), (20, 23), (23, 33))]
    streamed, stepped = fresh(), fresh()
    streamed.fit(iter(parts), verbose=0)
    for x, y in parts:
        stepped.train_on_batch(x, y)
    for a, b in zip(streamed.get_weights(), stepped.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=3e-8)  # of numbers up to 1


def test_the_loss_of_a_stream_is_the_mean_over_its_rows() -> None:
    model = fresh()
    parts = [(X[:10], Y[:10]), (X[10:13], Y[10:13])]
    loss = model.evaluate(iter(parts), verbose=0)[0]
    assert loss == pytest.approx(model.evaluate(X[:13], Y[:13], verbose=0)[0], rel=1e-5)


def test_a_batch_of_too_many_parts_is_refused() -> None:
    with pytest.raises(ValueError, match=r"x, \(x, y\) or \(x, y, sample_weight\)"):
        fresh().fit(iter([(X, Y, Y, Y)]), verbose=0)


def test_dicts_and_nested_inputs_stream() -> None:
    class Sum(talweg.Model):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = layers.Dense(1), layers.Dense(1)

        def call(self, inputs: Any) -> Any:
            return self.a(inputs["a"]) + self.b(inputs["b"])

    model = Sum()
    model.compile("sgd", "mse")
    model.fit(iter([({"a": x, "b": x}, y) for x, y in BATCHES]), verbose=0)
    assert int(model.optimizer.iterations) == 6
    assert model.predict(iter([{"a": x, "b": x} for x, _ in BATCHES]), verbose=0).shape == (60, 1)


def test_an_example_consumes_nothing() -> None:
    source = Endless()
    batches = StreamBatches(iter(source), steps=3)
    batches.example()
    batches.example()
    assert source.taken == 1
    assert sum(chunk.steps for chunk in batches.epoch(0)) == 3
    assert source.taken == 3


def test_what_is_taken_once_stays_on_the_host():
    batches = [np.ones((2, 3), "float32")] * 3
    for chunk in StreamBatches(iter(batches), on_device=False).epoch(0):
        assert isinstance(chunk.data.x, np.ndarray)
