"""Alarms: each is told where it is due, and only there; and the probe that they look through."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import talweg
from talweg import callbacks, layers
from talweg.core.events import Alarm, BlockDone
from talweg.core.random import set_random_seed
from talweg.optimizers import SGD, Adam, LossScaleOptimizer
from talweg.training import probe

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 4)).astype("float32")
Y = (X[:, :1] - X[:, 1:2] + 0.1 * RNG.normal(size=(64, 1))).astype("float32")


def model_of(*stack, optimizer=None, loss="mse", steps=1):
    set_random_seed(1)
    model = talweg.Sequential(list(stack))
    model.compile(optimizer or SGD(0.01), loss, steps_per_execution=steps)
    return model


def line(optimizer=None, **more):
    return model_of(layers.Input((4,)), layers.Dense(1), optimizer=optimizer, **more)


def alarmed(model, x=X, y=Y, epochs=5, watch=callbacks.alarms.KINDS, **more):
    """Train with a probe after every step; the alarms."""
    alarms = callbacks.Alarms(watch, verbose=0, probe_share=math.inf)
    model.fit(
        x, y, batch_size=8, epochs=epochs, shuffle=False, verbose=0, callbacks=[alarms], **more
    )
    return alarms.alarms


def kinds(found):
    return [alarm.kind for alarm in found]


# -- the probe ---------------------------------------------------------------------------


class Inside(callbacks.Callback):
    probe_share = math.inf

    def __init__(self):
        super().__init__()
        self.seen, self.told = [], []

    def inside(self, grads, params):
        return {"first": grads[0], "bias": params[1][0], "norm": jnp.linalg.norm(grads[0])}

    def on_probe(self, step, values):
        self.seen.append((step, values, self.model.get_weights()))

    def on_event(self, event):
        self.told.append(event)


@pytest.mark.parametrize("make", [
    lambda: SGD(0.05, clipnorm=1e-3),
    lambda: SGD(0.05, loss_scale_factor=8.0),
    lambda: LossScaleOptimizer(SGD(0.05)),
])  # fmt: skip
def test_a_probe_sees_the_loss_and_gradient_of_the_last_batch_unscaled_and_unclipped(make):
    model, inside = line(make()), Inside()
    model.fit(X[:60], Y[:60], batch_size=8, shuffle=False, verbose=0, callbacks=[inside])
    assert [step for step, *_ in inside.seen] == list(range(1, 9))
    for k, (_, values, (kernel, bias)) in enumerate(inside.seen):
        batch = slice(8 * min(k, 6), 8 * min(k, 6) + 8)  # after the smaller one: the last full
        wrong = X[batch] @ kernel + bias - Y[batch]
        np.testing.assert_allclose(values["loss"], np.mean(wrong**2), rtol=1e-4)
        expected = 2 * X[batch].T @ wrong / 8
        np.testing.assert_allclose(values["first"], expected, rtol=1e-4, atol=1e-6)
        assert values["bias"] == bias[0]
        assert type(values["norm"]) is float
    blocks = [event for event in inside.told if isinstance(event, BlockDone)]
    assert [b.logs["norm"] for b in blocks] == [values["norm"] for _, values, _ in inside.seen]
    assert all("first" not in block.logs for block in blocks)


def test_the_objective_is_given_to_those_that_ask():
    class Elsewhere(Inside):
        needs_objective = True

        def inside(self, grads, params, objective):
            loss, there = objective([jnp.zeros_like(p) for p in params])
            return {"at_zero": loss, "bias": there[1][0]}

    model, inside = line(), Elsewhere()
    model.fit(X[:8], Y[:8], batch_size=8, verbose=0, callbacks=[inside, Inside()])
    values = inside.seen[0][1]
    np.testing.assert_allclose(values["at_zero"], np.mean(Y[:8] ** 2), rtol=1e-5)
    np.testing.assert_allclose(values["bias"], -2 * np.mean(Y[:8]), rtol=1e-4, atol=1e-6)


def same_numbers(one, other):
    pairs = zip([*one.variables, *one.optimizer.variables],
                [*other.variables, *other.optimizer.variables], strict=True)  # fmt: skip
    return all(np.array_equal(a.numpy(), b.numpy()) for a, b in pairs)


def test_a_probe_changes_no_bit_and_not_the_history():
    models, histories = [], []
    for watching in ([], [callbacks.Alarms(verbose=0, probe_share=math.inf)]):
        set_random_seed(1)
        model = model_of(
            layers.Input((4,)), layers.Dense(8, activation="relu"), layers.BatchNormalization(),
            layers.Dropout(0.5), layers.Dense(1), optimizer=Adam(0.01), steps="auto",
        )  # fmt: skip
        histories.append(model.fit(X, Y, batch_size=10, epochs=3, verbose=0, callbacks=watching))
        models.append(model)
    assert same_numbers(*models)
    assert histories[0].history == histories[1].history


def test_nothing_is_compiled_without_one_and_once_with_one(monkeypatch):
    made = []
    original = probe.make_probe
    monkeypatch.setattr(
        "talweg.models.trainee.make_probe", lambda *of: made.append(original(*of)) or made[-1]
    )
    model = line(steps="auto")
    model.fit(X, Y, epochs=3, verbose=0, callbacks=[callbacks.History()])
    assert made == []
    alarms = callbacks.Alarms(verbose=0, probe_share=math.inf)
    for _ in range(2):
        model.fit(X, Y, batch_size=8, epochs=3, verbose=0, callbacks=[alarms])
    assert len(made) == 1
    assert made[0]._cache_size() == 1


def test_how_often_follows_from_the_cost(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(probe.time, "perf_counter", lambda: clock[0])

    class Passage:
        chunk = type("Chunk", (), {"data": None})

        def last_rows(self):
            return None

    def run(data, rows):
        clock[0] += 0.002
        return np.float32(1), []

    looks = []
    probing = probe.Probe(run, 0.01)
    clock[0] += 5  # the first block is compiled, which is no training
    while clock[0] < 109:
        if probing(Passage()) is not None:
            looks.append(clock[0])
            probing.done()
        clock[0] += 0.001
    assert looks[0] >= 105 + probe.SETTLED
    gaps = np.diff(looks)
    assert probe.SETTLED <= gaps[0] < probe.SETTLED + 0.01  # the first one may have compiled
    assert np.all(gaps[1:] >= 0.2)
    assert np.all(gaps[1:] < 0.21)


def test_no_memory_for_the_probe_stops_the_probe_and_not_the_training():
    def run(data, rows):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")

    class Passage:
        chunk = type("Chunk", (), {"data": None})

        def last_rows(self):
            return None

    probing = probe.Probe(run, math.inf)
    with pytest.warns(RuntimeWarning, match="not enough memory"):
        assert probing(Passage()) is None
    assert probing(Passage()) is None


# -- each alarm --------------------------------------------------------------------------


def test_a_sound_training_is_silent():
    model = model_of(
        layers.Input((4,)), layers.Dense(16, activation="relu"), layers.Dense(1),
        optimizer=SGD(0.05),
    )  # fmt: skip
    assert alarmed(model, epochs=20) == []


@pytest.mark.parametrize("corrupt", [True, False])
def test_a_corrupted_batch_is_a_spike(corrupt):
    y = np.tile(Y, (5, 1))
    if corrupt:
        y[8 * 30 : 8 * 31] += 30.0
    found = alarmed(line(SGD(0.02)), np.tile(X, (5, 1)), y, epochs=1, watch=("spike",))
    assert kinds(found) == ["spike"] * corrupt
    if corrupt:
        assert found[0].step == 31
        assert "The loss jumped to" in found[0].message


def test_an_alarm_is_told_again_only_after_it_has_gone_away():
    rows = 8 * 60
    x = np.ones((rows, 4), "float32") + 0.1 * RNG.normal(size=(rows, 4)).astype("float32")
    y = RNG.normal(size=(rows, 1)).astype("float32")
    for batch in (30, 31, 45):
        y[8 * batch : 8 * batch + 8] += 1e3
    found = alarmed(line(SGD(1e-6)), x, y, epochs=1, watch=("spike",))
    assert [alarm.step for alarm in found] == [31, 46]


@pytest.mark.parametrize(("scale", "expected"), [(1e4, ["exploded"]), (1.0, [])])
def test_a_batch_out_of_scale_explodes_the_gradient(scale, expected):
    x = np.tile(X, (4, 1))
    x[8 * 20 :] *= scale
    found = alarmed(line(SGD(1e-12)), x, np.tile(Y, (4, 1)), epochs=1, watch=("exploded",))
    assert kinds(found) == expected
    if expected:
        assert found[0].step == 21
        assert "times the usual" in found[0].message


def test_data_out_of_scale_explodes_the_gradient_from_the_start():
    found = alarmed(line(SGD(1e-12)), X * 1e4, Y * 1e4, epochs=1, watch=("exploded",))
    assert kinds(found) == ["exploded"]
    assert found[0].step == 1


def test_a_vanished_gradient():
    steep = model_of(
        layers.Input((4,)),
        layers.Dense(1, activation="sigmoid", bias_initializer=talweg.initializers.Constant(-40)),
    )
    found = alarmed(steep, y=np.ones_like(Y), watch=("vanished",))
    assert kinds(found) == ["vanished"]
    assert "per weight" in found[0].message
    # At the least squares of noisy targets the gradient is small, and not vanished.
    assert alarmed(line(SGD(0.1)), epochs=30, watch=("vanished",)) == []


def test_a_gradient_that_vanishes_against_its_own_past():
    x = np.tile(X, (6, 1))
    x[8 * 30 :] = 1e-6
    y = np.tile(np.abs(Y) + 1, (6, 1))
    model = model_of(layers.Input((4,)), layers.Dense(1, use_bias=False), optimizer=SGD(1e-6))
    found = alarmed(model, x, y, epochs=1, watch=("vanished",))
    assert [(a.kind, a.step) for a in found] == [("vanished", 34)]
    assert "was usual" in found[0].message


def two_layers(bias, *between, activation="relu", **more):
    constant = talweg.initializers.Constant(bias)
    return model_of(
        layers.Input((4,)),
        layers.Dense(16, activation=activation, bias_initializer=constant, name="first", **more),
        *between, layers.Dense(1), optimizer=SGD(1e-4),
    )  # fmt: skip


def test_units_without_any_gradient_are_dead_and_others_not():
    (dead,) = alarmed(two_layers(-100.0, kernel_regularizer="l2"), watch=("dead",), epochs=2)
    assert dead.step == callbacks.alarms.DEAD_PROBES
    assert dead.message.startswith("16 of 16 units of layer 'first' are dead")
    assert alarmed(two_layers(0.0), watch=("dead",), epochs=2) == []


CUT = {
    "relu": (lambda: two_layers(0.0), (0, 1)),
    "leaky_relu": (lambda: two_layers(0.0, activation="leaky_relu"), None),
    "tanh": (lambda: two_layers(0.0, activation="tanh"), None),
    "nothing": (lambda: two_layers(0.0, activation=None), None),
    "without a bias": (lambda: two_layers(0.0, use_bias=False), (0,)),
    "a penalty on the bias": (lambda: two_layers(0.0, bias_regularizer="l2"), (0,)),
    "ReLU behind": (
        lambda: two_layers(0.0, layers.Dropout(0.1), layers.ReLU(), activation=None), (0, 1)
    ),
    "Activation behind": (
        lambda: two_layers(0.0, layers.Activation("relu6"), activation=None), (0, 1)
    ),
    "a leak behind": (
        lambda: two_layers(0.0, layers.ReLU(negative_slope=0.1), activation=None), None
    ),
    "a relu with a kernel behind": (
        lambda: two_layers(0.0, layers.Dense(3, activation="relu"), activation=None), None
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CUT)
def test_units_that_can_die_are_found_by_the_activation(case):
    make, expected = CUT[case]
    first = [u.positions for u in callbacks.units.units_that_cut(make()) if u.layer == "first"]
    assert first == ([] if expected is None else [expected])


def test_dead_filters_of_a_convolution():
    model = model_of(
        layers.Input((4, 4, 1)),
        layers.Conv2D(6, 3, activation="relu", bias_initializer=talweg.initializers.Constant(-9)),
        layers.Flatten(), layers.Dense(1),
    )  # fmt: skip
    images = RNG.normal(size=(64, 4, 4, 1)).astype("float32")
    found = alarmed(model, images, Y, watch=("dead",), epochs=2)
    assert kinds(found) == ["dead"]
    assert "6 of 6 units" in found[0].message


def test_the_layer_that_is_named_is_the_one_that_stops_the_gradient():
    model = two_layers(0.0, layers.Dense(
        6, activation="relu", bias_initializer=talweg.initializers.Constant(-100), name="second"
    ))  # fmt: skip
    (found,) = alarmed(model, watch=("dead",), epochs=2)
    assert "6 of 6 units of layer 'second'" in found.message


A = 3.0  # one weight w, loss (a w)^2: the curvature is 2 a^2 = 18
EDGE = 2 / (2 * A**2)


def quadratic(optimizer, epochs=2, watch=("rate",)):
    model = model_of(layers.Input((1,)), layers.Dense(1, use_bias=False), optimizer=optimizer)
    x = np.full((64, 1), A, "float32")
    return alarmed(model, x, np.zeros((64, 1), "float32"), epochs=epochs, watch=watch)


@pytest.mark.parametrize(("rate", "expected"), [
    (2.5 * EDGE, "far above"),
    (1.02 * EDGE, None),
    (0.98 * EDGE, None),
    (0.05 * EDGE, None),
    (0.005 * EDGE, "far below"),
])  # fmt: skip
def test_the_rate_beside_the_edge_of_stability(rate, expected):
    found = quadratic(SGD(rate))
    assert kinds(found) == (["rate"] if expected else [])
    if expected:
        assert expected in found[0].message
        assert f"sharpness is {rate * 2 * A**2:.2g} " in found[0].message


@pytest.mark.parametrize(("optimizer", "judged"), [
    (lambda: SGD(0.001 * EDGE, momentum=0.5), True),
    (lambda: LossScaleOptimizer(SGD(0.001 * EDGE)), True),
    (lambda: SGD(0.001 * EDGE, clipnorm=1.0), False),
    (lambda: Adam(0.001 * EDGE), False),
    (lambda: SGD(talweg.schedules.CosineDecay(0.001 * EDGE, 1000)), False),
])  # fmt: skip
def test_the_rate_is_judged_where_the_step_follows_the_gradient(optimizer, judged):
    assert kinds(quadratic(optimizer())) == ["rate"] * judged


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)])
def test_the_edge_is_where_descent_on_a_parabola_diverges(momentum, nesterov):
    optimizer = SGD(1.0, momentum, nesterov)

    def after(rate):
        start = [jnp.float32(1)]
        state = optimizer.init(start, {"learning_rate": jnp.float32(rate)})

        def step(_, carry):
            return optimizer.update(carry[0], carry[1], carry[0])

        return abs(float(jax.lax.fori_loop(0, 500, step, (start, state))[0][0]))

    assert after(0.99 * optimizer.edge) < 0.5
    assert after(1.01 * optimizer.edge) > 10


# -- what becomes of them ----------------------------------------------------------------


def test_alarms_are_events_printed_and_kept(tmp_path, capsys):
    folder = callbacks.RunFolder(tmp_path)
    alarms = callbacks.Alarms(probe_share=math.inf)
    model = two_layers(-100.0)
    model.fit(X, Y, batch_size=8, epochs=2, verbose=0, callbacks=[alarms, folder])
    (dead,) = [e for e in folder.events() if isinstance(e, Alarm) and e.kind == "dead"]
    assert dead in alarms.alarms
    assert f"Step {dead.step}: {dead.message}" in capsys.readouterr().out
    quiet = callbacks.Alarms(verbose=0, probe_share=math.inf)
    model.fit(X, Y, batch_size=8, epochs=2, verbose=0, callbacks=[quiet])
    assert quiet.alarms
    assert capsys.readouterr().out == ""
    assert "gradient_norm" in [e for e in folder.events() if isinstance(e, BlockDone)][-1].logs


def test_a_divergence_of_the_engine_is_among_them():
    alarms = callbacks.Alarms(verbose=0)
    with pytest.warns(RuntimeWarning, match="diverged"):
        line(SGD(1e9)).fit(X, Y, verbose=0, epochs=50, callbacks=[alarms])
    assert kinds(alarms.alarms) == ["divergence"]


def test_with_a_step_of_ones_own_the_epochs_are_watched():
    class Own(talweg.Sequential):
        def train_step(self, state, data):
            return super().train_step(state, data)

    set_random_seed(1)
    model = Own([layers.Input((4,)), layers.Dense(1)])
    model.compile(SGD(0.02), "mse")
    alarms = callbacks.Alarms(verbose=0, probe_share=math.inf)

    class Jump(callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 60:
                self.model.set_weights([w + 100 for w in self.model.get_weights()])

    model.fit(X, Y, epochs=70, verbose=0, callbacks=[Jump(), alarms])
    assert kinds(alarms.alarms) == ["spike"]


def test_the_loss_of_a_batch_is_not_judged_by_those_of_epochs():
    alarms = callbacks.Alarms(verbose=0)
    alarms.set_model(line())
    alarms.tell = alarms.on_event
    for epoch in range(30):
        alarms.on_epoch_end(epoch, {"loss": 1.0})
    alarms.on_probe(31, {"loss": 9.0, "gradient_norm": 1.0, "gradient_rms": 1.0})
    assert alarms.alarms == []
    alarms.on_epoch_end(31, {"loss": 9.0})
    assert alarms.alarms == []


@pytest.mark.parametrize("wrong", [{"watch": ("spikes",)}, {"probe_share": 0.0}])
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match=r"Did you mean 'spike'|above 0"):
        callbacks.Alarms(**wrong)
