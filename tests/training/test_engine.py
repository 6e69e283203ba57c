"""The engine under `fit`: nothing recompiles, same bits, commands, interrupts, divergence."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import talweg
from talweg import layers
from talweg.core.random import set_random_seed
from talweg.training.block import TRACED

RNG = np.random.default_rng(0)
X = RNG.normal(size=(103, 4)).astype("float32")
Y = (X[:, :1] - X[:, 1:2]).astype("float32")


def small(
    optimizer: Any = "adam", dropout: float = 0.0, steps_per_execution: Any = "auto", seed: int = 1
) -> Any:
    set_random_seed(seed)
    stack: list[Any] = [layers.Dense(6, activation="tanh", input_dim=4)]
    if dropout:
        stack.append(layers.Dropout(dropout))
    model = talweg.Sequential([*stack, layers.Dense(1)])
    model.compile(optimizer, "mse", metrics=["mae"], steps_per_execution=steps_per_execution)
    return model


def same_bits(one: Any, other: Any) -> bool:
    """Weights, optimizer state and seeds agree to the last bit."""
    pairs = zip(
        [*one.variables, *one.optimizer.variables],
        [*other.variables, *other.optimizer.variables],
        strict=True,
    )
    return all(np.array_equal(a.numpy(), b.numpy()) for a, b in pairs)


# -- nothing recompiles ------------------------------------------------------------------


@contextlib.contextmanager
def no_tracing(model: Any) -> Any:
    programs = (model._trainee.train_program, model._trainee.test_program)
    before = [dict(program.traces) for program in programs]
    yield
    assert (model._trainee.train_program, model._trainee.test_program) == programs
    assert [program.traces for program in programs] == before


def test_changing_numbers_epochs_and_contents_recompiles_nothing() -> None:
    rate = talweg.Variable(0.01, trainable=False)
    optimizer = talweg.optimizers.Adam(rate, weight_decay=0.01, clipnorm=1.0)
    model = small(optimizer)
    arguments = {"batch_size": 10, "verbose": 0, "validation_data": (X[:25], Y[:25])}
    model.fit(X, Y, epochs=1, **arguments)
    assert model._trainee.train_program.traces == {"loop": 1, "single": 1}
    assert model._trainee.test_program.traces == {"loop": 1, "single": 1}
    with no_tracing(model):
        model.fit(X * 2, Y + 1, epochs=7, **arguments)
        model.fit(X, Y, epochs=9, initial_epoch=7, shuffle=False, **arguments)
        optimizer.learning_rate = 0.5
        model.fit(X, Y, **arguments)
        talweg.backend.set_value(rate, 0.001)
        model.fit(X, Y, **arguments)
        optimizer.rate_multiplier = 0.1
        optimizer.beta_1 = 0.5
        optimizer.clipnorm = 3.0
        optimizer.weight_decay = 0.5
        history = model.fit(X, Y, **arguments)
        assert history.history["learning_rate"] == pytest.approx([1e-4])
        model.evaluate(X[:25], Y[:25], batch_size=10, verbose=0)


def test_parts_of_a_pass_recompile_nothing() -> None:
    model = small()
    model.fit(X[:100], Y[:100], batch_size=10, epochs=1, steps_per_epoch=3, verbose=0)
    with no_tracing(model):
        model.fit(X[:100], Y[:100], batch_size=10, epochs=2, steps_per_epoch=5, verbose=0)
        model.fit(X[:100], Y[:100], batch_size=10, epochs=1, verbose=0)


def test_train_on_batch_and_a_schedule_recompile_nothing() -> None:
    schedule = talweg.optimizers.schedules.CosineDecay(0.1, 100)
    model = small(talweg.optimizers.SGD(schedule))
    model.train_on_batch(X[:10], Y[:10])
    assert model._trainee.train_program.traces == {"single": 1}
    with no_tracing(model):
        for i in range(5):
            model.train_on_batch(X[i : i + 10], Y[i : i + 10])
    model.predict(X, batch_size=10, verbose=0)
    traces = dict(model._predictor.traces)
    model.fit(X, Y, verbose=0)
    model.predict(X * 2, batch_size=10, verbose=0)
    assert model._predictor.traces == traces == {"single": 2}


def test_streams_of_any_length_compile_two_programs_at_most() -> None:
    def batches(count: int) -> Any:
        for i in range(count):
            yield X[i : i + 10], Y[i : i + 10]

    model = small()
    model.fit(batches(40), verbose=0)
    with no_tracing(model):
        model.fit(batches(23), verbose=0)
        model.fit(batches(1), verbose=0)


# -- same bits ---------------------------------------------------------------------------


@pytest.mark.parametrize("shuffle", [True, False, "batch"])
def test_blocked_equals_step_by_step_bit_for_bit(shuffle: Any) -> None:
    blocked = small(dropout=0.3)
    stepped = small(dropout=0.3, steps_per_execution=1)
    arguments = {"batch_size": 10, "epochs": 3, "verbose": 0, "shuffle": shuffle}
    set_random_seed(5)
    one = blocked.fit(X, Y, **arguments)
    set_random_seed(5)
    other = stepped.fit(X, Y, **arguments)
    assert same_bits(blocked, stepped)
    assert one.history == other.history


def test_a_callback_that_reads_weights_or_logs_changes_no_bit() -> None:
    class Weights(talweg.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.get_weights()

    class Logs(talweg.callbacks.Callback):
        reads = "logs"

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            pass

    models = []
    for callbacks in ([], [Logs()], [Weights()]):
        model = small(dropout=0.3)
        model.fit(X, Y, batch_size=10, epochs=2, verbose=0, callbacks=callbacks)
        models.append(model)
    assert same_bits(models[0], models[1])
    # Steps in and outside a loop are two programs: equal but for the last digit.
    for one, other in zip(models[0].get_weights(), models[2].get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


SCRIPT = """
import numpy as np, talweg, hashlib
from talweg import layers
talweg.utils.set_random_seed(3)
x = np.random.default_rng(0).normal(size=(53, 4)).astype("float32")
model = talweg.Sequential(
    [layers.Dense(6, activation="tanh"), layers.Dropout(0.2), layers.Dense(1)])
model.compile("adam", "mse")
model.fit(x, x[:, :1], epochs=3, batch_size=10, verbose=0)
bits = b"".join(v.numpy().tobytes() for v in [*model.variables, *model.optimizer.variables])
print("digest", hashlib.sha256(bits).hexdigest())
"""


def test_the_same_seed_gives_the_same_bits_in_another_process() -> None:
    environment = {**os.environ, "PYTHONHASHSEED": "random"}
    digests = set()
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env=environment, capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        digests.add(done.stdout.split("digest ")[1].strip())
    assert len(digests) == 1


def test_other_seeds_give_other_bits() -> None:
    one, other = small(seed=1), small(seed=2)
    assert not same_bits(one, other)


def test_the_last_smaller_batch_counts_exactly() -> None:
    """Epochs of 10 full batches and one of 3 rows are those 11 batches, one by one."""
    whole, parts = small("sgd"), small("sgd")
    whole.fit(X, Y, batch_size=10, shuffle=False, verbose=0)
    for start in range(0, len(X), 10):
        parts.train_on_batch(X[start : start + 10], Y[start : start + 10])
    for one, other in zip(whole.get_weights(), parts.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)


def test_batch_normalization_sees_the_last_batch_unpadded() -> None:
    set_random_seed(0)
    model = talweg.Sequential([layers.BatchNormalization(momentum=0.0, input_shape=(4,))])
    model.compile("sgd", "mse")
    model.fit(X, X, batch_size=50, shuffle=False, verbose=0)
    np.testing.assert_allclose(model.layers[0].moving_mean.numpy(), X[100:].mean(0), atol=1e-6)


def test_two_fits_in_two_threads_do_not_meet() -> None:
    alone = small(dropout=0.2)
    alone.fit(X, Y, batch_size=10, epochs=4, verbose=0)
    models = [small(dropout=0.2), small(dropout=0.2)]
    seeds = threading.Lock()
    failures: list[BaseException] = []

    def work(model: Any) -> None:
        try:
            with seeds:
                pass
            model.fit(X, Y, batch_size=10, epochs=4, verbose=0, shuffle=False)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(model,)) for model in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert same_bits(*models)
    assert not same_bits(alone, models[0])


# -- logs of steps -----------------------------------------------------------------------


def test_a_callback_of_logs_sees_every_step_in_order() -> None:
    def seen(reads_: str, model: Any) -> list[Any]:
        class Seen(talweg.callbacks.Callback):
            reads = reads_  # type: ignore[assignment]

            def on_train_begin(self, logs: Any = None) -> None:
                self.seen: list[Any] = []

            def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
                self.seen.append(("begin", batch))

            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
                self.seen.append(("end", batch, dict(logs)))

        callback = Seen()
        model.fit(x, y, batch_size=2, epochs=2, shuffle=False, verbose=0, callbacks=[callback])
        return callback.seen

    rows = 2 * (TRACED + 40) + 1
    x = RNG.normal(size=(rows, 4)).astype("float32")
    y = x[:, :1]
    logs, weights = seen("logs", small("sgd")), seen("weights", small("sgd"))
    steps = TRACED + 41
    order = [(kind, i) for _ in range(2) for i in range(steps) for kind in ("begin", "end")]
    assert [event[:2] for event in logs] == order == [event[:2] for event in weights]
    for mine, reference in zip(logs, weights, strict=True):
        if mine[0] == "end":
            assert list(mine[2]) == ["loss", "mae", "learning_rate"]
            np.testing.assert_allclose(
                list(mine[2].values()), list(reference[2].values()), rtol=1e-4
            )


def test_bare_convolutions_run_step_by_step_on_a_cpu() -> None:
    """XLA runs their weight gradient much slower inside a loop; Conv2D avoids them there."""

    class Bare(layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.kernel = self.add_weight(shape=(3, 1, 3, 3))

        def call(self, x: Any) -> Any:
            return jax.lax.conv(x, self.kernel.value, (1, 1), "VALID")

    images = RNG.normal(size=(20, 1, 8, 8)).astype("float32")
    slow = {"single"} if jax.default_backend() == "cpu" else {"loop"}
    for first, expected in ((Bare(), slow), (layers.Flatten(), {"loop"})):
        model = talweg.Sequential([first, layers.Flatten(), layers.Dense(1)])
        model.compile("sgd", "mse")
        model.fit(images, Y[:20], batch_size=5, epochs=2, verbose=0)
        traces = model._trainee.train_program.traces
        assert set(traces) == expected
        assert set(traces.values()) == {1}


# -- commands during a fit ---------------------------------------------------------------


class Endless(talweg.callbacks.Callback):
    """Stops the fit once a condition holds, or fails after many epochs."""

    def __init__(self, done: Any) -> None:
        super().__init__()
        self.done = done

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.done(logs):
            self.model.stop_training = True


@pytest.mark.parametrize("how", ["variable", "assignment", "multiplier"])
def test_a_rate_set_by_another_thread_acts_and_is_not_lost(how: str) -> None:
    rate = talweg.Variable(0.01, trainable=False)
    model = small(talweg.optimizers.SGD(rate if how == "variable" else 0.01))
    started = threading.Event()

    def command() -> None:
        started.wait(30)
        if how == "variable":
            talweg.backend.set_value(rate, 0.005)
        elif how == "assignment":
            model.optimizer.learning_rate = 0.005
        else:
            model.optimizer.rate_multiplier = 0.5

    class Started(talweg.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if epoch == 2:
                started.set()

    thread = threading.Thread(target=command)
    thread.start()
    stop = Endless(lambda logs: abs(logs["learning_rate"] - 0.005) < 1e-8)
    history = model.fit(X, Y, batch_size=1, epochs=5000, verbose=0, callbacks=[Started(), stop])
    thread.join()
    rates = history.history["learning_rate"]
    assert len(rates) < 5000
    assert rates[:3] == pytest.approx([0.01] * 3)
    assert rates[-1] == pytest.approx(0.005)
    assert float(model.optimizer.rate) == pytest.approx(0.005)


def test_blocks_answer_within_a_fraction_of_a_second() -> None:
    """However long the epoch, commands are read every 0.2 s or so."""
    moments = [time.perf_counter()]

    class Moments(talweg.callbacks.Callback):
        def on_block_end(self, step: int, logs: Any = None) -> None:
            moments.append(time.perf_counter())

    model = small("sgd")
    x = np.resize(X, (200_000, 4))
    model.fit(x, x[:, :1], batch_size=2, verbose=0, callbacks=[Moments()])
    gaps = np.diff(moments)[1:]
    assert len(gaps) > 3
    assert np.median(gaps) < 0.25


# -- interrupts --------------------------------------------------------------------------


def test_ctrl_c_from_a_callback_keeps_weights_and_history() -> None:
    model = small("sgd")

    class Press(talweg.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if epoch == 2:
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, batch_size=10, epochs=50, verbose=0, callbacks=[Press()])
    assert len(model.history.history["loss"]) == 3
    assert len(model.history.history["loss"]) == len(model.history.epoch)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert np.isfinite(model.predict(X, verbose=0)).all()
    assert len(model.fit(X, Y, verbose=0).history["loss"]) == 1


def test_ctrl_c_from_outside_ends_a_long_epoch_between_blocks() -> None:
    model = small("sgd")
    x = np.resize(X, (400_000, 4))
    began: list[float] = []

    class Began(talweg.callbacks.Callback):
        def on_block_end(self, step: int, logs: Any = None) -> None:
            if not began:
                began.append(time.perf_counter())
                threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()

    with pytest.raises(KeyboardInterrupt):
        model.fit(x, x[:, :1], batch_size=1, epochs=100, verbose=0, callbacks=[Began()])
    assert time.perf_counter() - began[0] < 2.0
    steps = int(model.optimizer.iterations)
    assert steps > 0
    model.fit(x[:10], x[:10, :1], batch_size=10, verbose=0)
    assert int(model.optimizer.iterations) == steps + 1


def test_ctrl_c_in_the_last_epoch_is_not_swallowed() -> None:
    model = small("sgd")

    class Press(talweg.callbacks.Callback):
        def on_train_end(self, logs: Any = None) -> None:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, epochs=1, verbose=0, callbacks=[Press()])


def test_ctrl_c_while_waiting_for_a_slow_source_is_answered_at_once() -> None:
    release = threading.Event()

    def slow() -> Any:
        yield X[:10], Y[:10]
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        release.wait(3)
        yield X[:10], Y[:10]

    began = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        small("sgd").fit(slow(), verbose=0)
    waited = time.perf_counter() - began
    release.set()
    assert waited < 2.0


def test_a_handler_of_the_programs_own_is_left_alone() -> None:
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: pressed.append(number))

    class Press(talweg.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            os.kill(os.getpid(), signal.SIGINT)

    try:
        small("sgd").fit(X, Y, epochs=2, verbose=0, callbacks=[Press()])
    finally:
        signal.signal(signal.SIGINT, before)
    assert pressed == [signal.SIGINT] * 2


def test_an_averaged_model_has_its_averages_after_ctrl_c() -> None:
    model = small(talweg.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5))

    class Press(talweg.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, epochs=3, verbose=0, callbacks=[Press()])
    averages = [variable.numpy() for variable in model.optimizer.average_variables]
    for weight, average in zip(model.get_weights(), averages, strict=True):
        np.testing.assert_array_equal(weight, average)


# -- what is not finite ------------------------------------------------------------------


@pytest.mark.parametrize("batch_hooks", [False, True])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_bad_row_is_named_and_the_weights_are_those_before_it(
    value: float, batch_hooks: bool
) -> None:
    x = X.copy()
    x[57, 2] = value
    model, reference = small("sgd"), small("sgd")
    hook = [talweg.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)]
    what = "NaN" if np.isnan(value) else "infinity"
    with pytest.raises(talweg.NonFiniteError, match=f"x holds {what} at row 57, in batch 5"):
        model.fit(
            x, Y, batch_size=10, shuffle=False, verbose=0, callbacks=hook if batch_hooks else []
        )
    reference.fit(X[:50], Y[:50], batch_size=10, shuffle=False, verbose=0)
    for one, other in zip(model.get_weights(), reference.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
    assert int(model.optimizer.iterations) == 5
    model.fit(X, Y, verbose=0)


def test_a_bad_row_in_the_shuffled_order_and_the_last_batch_is_named() -> None:
    x = X.copy()
    x[102, 0] = np.nan
    for shuffle in (True, False):
        with pytest.raises(talweg.NonFiniteError, match="at row 102, in batch"):
            small("sgd").fit(x, Y, batch_size=10, shuffle=shuffle, verbose=0)


def test_a_bad_row_of_a_stream_is_named_by_batch() -> None:
    def batches() -> Any:
        for i in range(30):
            x = X[:10].copy()
            if i == 21:
                x[3] = np.nan
            yield x, Y[:10]

    with pytest.raises(talweg.NonFiniteError, match="x holds NaN at row 3 of batch 21"):
        small("sgd").fit(batches(), verbose=0)


def test_a_bad_row_on_train_on_batch_is_named() -> None:
    model = small("sgd")
    before = model.get_weights()
    x = X[:10].copy()
    x[4] = np.nan
    with pytest.raises(talweg.NonFiniteError, match="at row 4"):
        model.train_on_batch(x, Y[:10])
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_divergence_stops_with_a_warning_and_finite_weights() -> None:
    model = small(talweg.optimizers.SGD(1e9))
    with pytest.warns(RuntimeWarning, match=r"The loss of iteration \d+ .* learning rate"):
        history = model.fit(X, Y, batch_size=10, epochs=5, verbose=0)
    assert all(np.isfinite(w).all() for w in model.get_weights())
    assert len(history.history["loss"]) == 1
    assert np.isnan(history.history["loss"][0])
    assert model.stop_training


@pytest.mark.parametrize("steps_per_execution", ["auto", 1])
def test_a_gradient_that_is_not_finite_stops_too(steps_per_execution: Any) -> None:
    """sqrt(|x|) at 0: the loss is finite, its slope is not."""

    def root(y: Any, prediction: Any) -> Any:
        return jnp.sqrt(jnp.abs(prediction - y))

    model = small("sgd", steps_per_execution=steps_per_execution)
    model.compile("sgd", root)
    zeros = [np.zeros_like(w) for w in model.get_weights()]
    model.set_weights(zeros)
    with pytest.warns(RuntimeWarning, match="The gradient of iteration 0 was not finite"):
        model.fit(X, np.zeros_like(Y), batch_size=10, verbose=0)
    for weight in model.get_weights():
        np.testing.assert_array_equal(weight, 0.0)


def test_a_fit_after_divergence_starts_anew() -> None:
    model = small(talweg.optimizers.SGD(1e9))
    with pytest.warns(RuntimeWarning):
        model.fit(X, Y, batch_size=10, verbose=0)
    model.set_weights(small().get_weights())
    model.optimizer.learning_rate = 0.01
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = model.fit(X, Y, batch_size=10, epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


# -- buffers -----------------------------------------------------------------------------


def test_arrays_that_the_user_holds_survive() -> None:
    """A block reuses its buffers; those that are held elsewhere are copied first."""
    model = small("adam")
    model.fit(X, Y, verbose=0)
    held: list[Any] = []
    copies: list[Any] = []

    def hold(*_: Any) -> None:
        values = [v.value for v in [*model.variables, *model.optimizer.variables]]
        held.extend(values)
        copies.extend(np.array(value) for value in values)

    hold()
    hook = talweg.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: hold(), on_train_batch_end=lambda batch, logs: hold()
    )
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[hook])
    for value, copy in zip(held, copies, strict=True):
        np.testing.assert_array_equal(np.asarray(value), copy)


def test_a_weight_that_was_set_does_not_follow_its_source() -> None:
    model = small()
    memory = np.zeros(4 * 6 + 16, "float32")
    start = (-memory.ctypes.data // 4) % 16  # aligned, which JAX would use without a copy
    kernel = memory[start : start + 24].reshape(4, 6)
    model.layers[0].kernel.assign(kernel)
    kernel[:] = 7.0
    assert not model.layers[0].kernel.numpy().any()


def test_a_failing_callback_leaves_a_usable_model() -> None:
    model = small("sgd")

    def fail(batch: int, logs: Any) -> None:
        if batch == 4:
            raise ZeroDivisionError("mine")

    hook = talweg.callbacks.LambdaCallback(on_train_batch_end=fail)
    with pytest.raises(ZeroDivisionError, match="mine"):
        model.fit(X, Y, batch_size=10, verbose=0, callbacks=[hook])
    assert int(model.optimizer.iterations) == 5
    model.fit(X, Y, verbose=0)
