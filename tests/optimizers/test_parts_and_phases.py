"""By part, by phase, by schedule: what stands still, what moves, and how far."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import talweg
from talweg import layers, optimizers
from talweg.optimizers import (
    SGD,
    Adam,
    ByPath,
    LayerwiseDecay,
    Part,
    Phases,
    Plateau,
    RMSprop,
    Steps,
)  # fmt: skip
from talweg.testing.problems import assert_close, assert_same

RNG = np.random.default_rng(3)
PARAMS = {
    "encoder": {"kernel": RNG.normal(size=(3, 2)), "bias": RNG.normal(size=2)},
    "head": {"kernel": RNG.normal(size=(2, 1)), "bias": RNG.normal(size=1)},
}
PARAMS = jax.tree.map(np.float32, PARAMS)
GRADS = [jax.tree.map(lambda p: np.float32(RNG.normal(size=p.shape)), PARAMS) for _ in range(6)]


def run(optimizer, grads=GRADS, params=PARAMS, state=None):
    update = jax.jit(optimizer.update)
    state = optimizer.init(params) if state is None else state
    for gradient in grads:
        params, state = update(gradient, state, params)
    return params, state


def part(tree, name):
    return {name: tree[name]}


# -- by part -------------------------------------------------------------------------


def test_a_factor_is_that_of_the_rate():
    moved, _ = run(ByPath({"encoder/*": 0.1}, default=Adam(1e-2)))
    for name, rate in (("encoder", 1e-3), ("head", 1e-2)):
        own = [part(g, name) for g in GRADS]
        expected, _ = run(Adam(rate), own, part(PARAMS, name))
        assert_close(part(moved, name), expected, name, rtol=1e-6)


def test_each_part_is_stepped_by_its_own_optimizer():
    moved, _ = run(ByPath({"head/*": RMSprop(1e-2)}, default=SGD(0.1, momentum=0.9)))
    for name, alone in (("encoder", SGD(0.1, momentum=0.9)), ("head", RMSprop(1e-2))):
        expected, _ = run(alone, [part(g, name) for g in GRADS], part(PARAMS, name))
        assert_close(part(moved, name), expected, name, rtol=1e-6)


def test_factors_of_decay_and_clipping():
    inner = {"weight_decay": 0.5, "clipnorm": 1.0}
    given = ByPath({"*bias": Part(decay=0.0, clip=0.25)}, default=SGD(0.1, **inner))
    moved, _ = run(given)
    for layer in ("encoder", "head"):
        for name, alone in (
            ("kernel", SGD(0.1, **inner)),
            ("bias", SGD(0.1, weight_decay=0.0, clipnorm=0.25)),
        ):
            grads = [{name: g[layer][name]} for g in GRADS]
            expected, _ = run(alone, grads, {name: PARAMS[layer][name]})
            assert_close(moved[layer][name], expected[name], f"{layer}/{name}", rtol=1e-6)


def test_the_first_pattern_that_fits_counts():
    moved, _ = run(ByPath({"encoder/bias": 0.0, "encoder/*": 1.0}, default=SGD(0.1)))
    assert_same(moved["encoder"]["bias"], PARAMS["encoder"]["bias"], "the bias moved")
    assert not np.array_equal(moved["encoder"]["kernel"], PARAMS["encoder"]["kernel"])


def test_a_function_of_the_path_is_a_pattern():
    moved, _ = run(ByPath({lambda path: path.endswith("bias"): 0.0}, default=SGD(0.1)))
    assert_same(moved["head"]["bias"], PARAMS["head"]["bias"], "the bias moved")


def test_a_pattern_that_fits_nothing_is_named_with_the_paths():
    with pytest.raises(ValueError, match=r"encodr/\*.*encoder/kernel"):
        ByPath({"encodr/*": 0.1}, default=SGD(0.1)).init(PARAMS)


@pytest.mark.parametrize(
    ("parts", "error"),
    [({"a": -1.0}, ValueError), ({"a": "adma"}, ValueError), ({3: 0.1}, TypeError)],
    ids=str,
)
def test_what_is_no_part_is_refused_at_once(parts, error):
    with pytest.raises(error):
        ByPath(parts)


def model_of(optimizer):
    talweg.utils.set_random_seed(1)
    model = talweg.Sequential(
        [
            layers.Input((4,)),
            layers.Dense(8, activation="tanh", name="encoder"),
            layers.Dense(1, name="head"),
        ]
    )
    model.compile(optimizer, "mse")
    return model


X = np.random.default_rng(5).normal(size=(128, 4)).astype("float32")
Y = X[:, :1] * X[:, 1:2]


def test_parts_are_frozen_and_freed_during_a_fit_without_recompiling():
    optimizer = ByPath({"encoder/*": Part(frozen=True)}, default=Adam(1e-2))
    model = model_of(optimizer)
    kernels = []

    class Thaw(talweg.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            kernels.append(np.array(self.model.layers[0].kernel))
            optimizer["encoder/*"].frozen = epoch % 2 == 1
            optimizer["encoder/*"].rate = 0.5
            optimizer.default.learning_rate = 1e-3

    start = np.array(model.layers[0].kernel)
    model.fit(X, Y, epochs=4, verbose=0, callbacks=[Thaw()])
    assert np.array_equal(kernels[0], start)
    assert not np.array_equal(kernels[1], kernels[0])
    assert np.array_equal(kernels[2], kernels[1])
    assert max(model._trainee.train_program.traces.values()) == 1


def test_a_frozen_part_has_no_say_in_a_joint_norm():
    tall = [jax.tree.map(lambda g: g * 100, part(g, "encoder")) | part(g, "head") for g in GRADS]
    frozen = ByPath({"encoder/*": Part(frozen=True)}, default=SGD(0.1, global_clipnorm=0.5))
    moved, _ = run(frozen, tall)
    alone = SGD(0.1, global_clipnorm=0.5)
    expected, _ = run(alone, [part(g, "head") for g in GRADS], part(PARAMS, "head"))
    assert_close(part(moved, "head"), expected, "head", rtol=1e-6)


def test_members_of_a_population_freeze_parts_of_their_own():
    """Each goes its own way, also where another freezes nothing."""
    optimizer = ByPath({"encoder/*": 0.5, "head/*": 2.0}, default=Adam(1e-2))
    free = optimizer.init(PARAMS)
    factors = {**free.hyper["encoder/*"], "frozen": jnp.bool_(True)}
    frozen = free._replace(hyper={**free.hyper, "encoder/*": factors})
    alone = [run(optimizer, state=state)[0] for state in (free, frozen)]
    assert_same(alone[1]["encoder"], PARAMS["encoder"], "the frozen part")
    state = jax.tree.map(lambda *members: jnp.stack(members), free, frozen)
    params = jax.tree.map(lambda p: jnp.stack([p, p]), PARAMS)
    update = jax.jit(jax.vmap(optimizer.update, in_axes=(None, 0, 0)))
    for gradient in GRADS:
        params, state = update(gradient, state, params)
    for i, expected in enumerate(alone):
        assert_close(jax.tree.map(lambda p, i=i: p[i], params), expected, f"member {i}", rtol=1e-6)


def test_one_multiplier_scales_the_rates_of_all_parts():
    optimizer = ByPath({"head/*": SGD(0.2)}, default=SGD(0.1))
    optimizer.rate_multiplier = 0.5
    moved, _ = run(optimizer)
    expected, _ = run(ByPath({"head/*": SGD(0.1)}, default=SGD(0.05)))
    assert_close(moved, expected, "multiplier", rtol=1e-6)


def test_hyperparameters_of_parts_have_names():
    optimizer = ByPath({"encoder/*": 0.1, "head/*": Adam(1e-3)}, default=SGD(0.1))
    optimizer.set_hyperparameter("encoder/*/rate", 0.5)
    optimizer.set_hyperparameter("head/*/learning_rate", 0.25)
    optimizer.set_hyperparameter("head/*/frozen", 1)
    optimizer.set_hyperparameter("default/momentum", 0.0)
    assert optimizer["encoder/*"].rate == 0.5
    assert float(optimizer["head/*"].optimizer.learning_rate) == 0.25
    assert optimizer["head/*"].frozen is True
    for name in ("encoder/*/learning_rate", "body/*/rate", "learning_rte"):
        with pytest.raises(ValueError, match="Unknown"):
            optimizer.set_hyperparameter(name, 0.1)


def test_hyperparameters_of_phases_have_names_and_a_wrong_one_is_told_the_right_one():
    optimizer = Phases([(Adam(1e-3), 2), (SGD(0.1, momentum=0.5), None)])
    optimizer.set_hyperparameter("1/momentum", 0.25)
    optimizer.set_hyperparameter("rate_multiplier", 0.5)
    assert float(optimizer.optimizers[1].momentum) == 0.25
    assert float(optimizer.rate_multiplier) == 0.5
    for wrong in ("learning_rate", "2/learning_rate", "1", "1/"):
        with pytest.raises(ValueError, match=r"Phases .*0/learning_rate, 1/learning_rate, and"):
            optimizer.set_hyperparameter(wrong, 0.1)
    with pytest.raises(ValueError, match=r"default/learning_rate, head/[*]/learning_rate, and"):
        ByPath({"head/*": SGD(0.2)}, default=SGD(0.1)).set_hyperparameter("learning_rate", 0.1)


def test_what_a_part_has_not_cannot_be_set_on_it():
    optimizer = ByPath({"encoder/*": 0.1, "head/*": SGD(0.1)}, default="adam")
    with pytest.raises(AttributeError, match="lr cannot be set; rate, decay, clip, frozen can"):
        optimizer["encoder/*"].lr = 0.1
    with pytest.raises(AttributeError, match=r"part\.optimizer\.learning_rate"):
        optimizer["head/*"].learning_rate = 0.1
    with pytest.raises(AttributeError, match="when the part is made"):
        optimizer["head/*"].optimizer = SGD(0.1)
    with pytest.raises(TypeError, match="ByPath: parts must be a dict"):
        ByPath([("encoder/*", 0.1)])


def test_a_change_of_a_part_is_an_event(tmp_path):
    optimizer = ByPath({"encoder/*": 0.1}, default=SGD(0.1))

    class Change(talweg.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            optimizer["encoder/*"].rate = 0.5

    folder = talweg.callbacks.RunFolder(tmp_path)
    model_of(optimizer).fit(X, Y, epochs=2, verbose=0, callbacks=[folder, Change()])
    changes = [e for e in folder.events() if isinstance(e, talweg.core.events.RateChanged)]
    assert [(c.step, c.name, c.after) for c in changes] == [(4, "encoder/*/rate", 0.5)]


def test_by_path_survives_json_but_for_functions():
    given = ByPath({"head/*": Adam(1e-3), "*bias": Part(decay=0.0, frozen=True)}, default="sgd")
    record = json.loads(json.dumps(optimizers.serialize(given)))
    again = optimizers.deserialize(record)
    assert json.dumps(again.get_config()) == json.dumps(given.get_config())
    assert_same(run(again)[0], run(given)[0], "the copy")
    with pytest.raises(ValueError, match="function"):
        ByPath({len: 0.1}).get_config()


def test_layers_learn_slower_the_further_down_they_are():
    moved, _ = run(LayerwiseDecay(SGD(0.1), decay=0.5))
    for name, rate in (("encoder", 0.05), ("head", 0.1)):
        expected, _ = run(SGD(rate), [part(g, name) for g in GRADS], part(PARAMS, name))
        assert_close(part(moved, name), expected, name, rtol=1e-6)


# -- by phase ------------------------------------------------------------------------


def test_phases_of_steps_follow_one_another_with_the_weights():
    phases = Phases([(Adam(1e-2), Steps(2)), (SGD(0.1), Steps(3)), (RMSprop(1e-2), None)])
    moved, state = run(phases)
    params, _ = run(Adam(1e-2), GRADS[:2])
    params, _ = run(SGD(0.1), GRADS[2:5], params)
    params, _ = run(RMSprop(1e-2), GRADS[5:], params)
    assert_close(moved, params, "three phases", rtol=1e-6)
    assert int(state.shared.phase) == 2
    assert phases.carried == ["Adam → SGD: begins anew", "SGD → RMSprop: begins anew"]


def test_the_same_class_goes_on_with_its_moments_and_its_count():
    phases = Phases([(Adam(1e-2), Steps(3)), (Adam(1e-3), None)])
    moved, _ = run(phases)
    adam = Adam(1e-2)
    params, state = run(adam, GRADS[:3])
    state = state._replace(hyper={**state.hyper, "learning_rate": jnp.float32(1e-3)})
    expected, _ = run(adam, GRADS[3:], params, state)
    assert_close(moved, expected, "one Adam whose rate was lowered", rtol=1e-6)
    assert phases.carried == ["Adam → Adam: goes on with its moments and its count"]
    other = Phases([(Adam(), 1), (Adam(amsgrad=True), 1)])
    assert other.carried == ["Adam → Adam: begins anew"]


def test_phases_of_epochs_and_their_logs():
    phases = Phases([(SGD(0.1), 2), (Adam(1e-3), None)])
    model = model_of(phases)
    history = model.fit(X, Y, epochs=4, verbose=0).history
    assert history["phase"] == [0.0, 0.0, 1.0, 1.0]
    np.testing.assert_allclose(history["learning_rate"], [0.1, 0.1, 1e-3, 1e-3], rtol=1e-6)
    assert max(model._trainee.train_program.traces.values()) == 1


def test_a_plateau_ends_a_phase():
    phases = Phases([(SGD(1e-9), Plateau("loss", patience=2, min_delta=1.0)), (SGD(0.1), None)])
    history = model_of(phases).fit(X, Y, epochs=5, verbose=0).history
    assert history["phase"] == [0.0, 0.0, 0.0, 1.0, 1.0]


def test_a_plateau_of_what_the_logs_lack_is_an_error_that_names_it():
    phases = Phases([("sgd", Plateau("val_los")), ("adam", None)])
    with pytest.raises(ValueError, match=r"val_los.*val_loss"):
        model_of(phases).fit(X, Y, validation_data=(X, Y), verbose=0)


def test_averages_go_on_across_phases():
    average = {"use_ema": True, "ema_momentum": 0.5}
    phases = Phases([(SGD(0.1, **average), Steps(3)), (SGD(0.1, **average), None)])
    _, state = run(phases)
    _, expected = run(SGD(0.1, **average))
    assert_close(state.inner[1].average, expected.average, "the average", rtol=1e-6)


def test_phases_survive_json_and_go_on_where_they_were():
    def made():
        return Phases([(SGD(0.1), Steps(3)), (Adam(1e-2), Plateau("loss", 3)), ("nadam", None)])

    record = json.loads(json.dumps(optimizers.serialize(made())))
    again = optimizers.deserialize(record)
    assert again.ends == made().ends
    whole = model_of(made())
    whole.fit(X, Y, epochs=2, verbose=0, shuffle=False)
    half = model_of(again)
    half.fit(X, Y, epochs=1, verbose=0, shuffle=False)
    resumed = model_of(made())
    resumed.optimizer.build(resumed.trainable_variables)
    resumed.set_weights(half.get_weights())
    resumed.optimizer.set_weights(half.optimizer.get_weights())
    resumed.fit(X, Y, epochs=2, initial_epoch=1, verbose=0, shuffle=False)
    assert_same(resumed.get_weights(), whole.get_weights(), "resumed")


@pytest.mark.parametrize(
    "phases",
    [[], [("sgd", None), ("adam", 1)], [("sgd", 0)], ["sgd"], [("sgd", True)], [("sgd", 1.5)]],
    ids=str,
)
def test_phases_that_make_no_sense_are_refused(phases):
    with pytest.raises((ValueError, TypeError), match=r"Phases|Epochs"):
        Phases(phases)


# -- by schedule, any hyperparameter ---------------------------------------------------


def test_momentum_and_weight_decay_follow_schedules():
    momentum = optimizers.schedules.PiecewiseConstantDecay([2], [0.9, 0.5])
    decay = optimizers.schedules.PolynomialDecay(0.1, 6, 0.0)
    given = SGD(0.1, momentum=momentum, weight_decay=decay)
    moved, _ = run(given)
    plain = SGD(0.1, momentum=0.9, weight_decay=0.1)
    params, state = PARAMS, plain.init(PARAMS)
    for step, gradient in enumerate(GRADS):
        now = {"momentum": momentum(step), "weight_decay": decay(step)}
        state = state._replace(hyper={**state.hyper, **jax.tree.map(jnp.float32, now)})
        params, state = plain.update(gradient, state, params)
    assert_close(moved, params, "scheduled by hand", rtol=1e-6)
    assert float(given.momentum) == np.float32(0.9)
    again = type(given).from_config(json.loads(json.dumps(given.get_config())))
    assert_same(run(again)[0], moved, "the copy")


def test_a_hyperparameter_that_follows_a_schedule_cannot_be_set():
    schedule = optimizers.schedules.PolynomialDecay(0.9, 10)
    optimizer = Adam(beta_1=schedule)
    with pytest.raises(TypeError, match="beta_1 follows PolynomialDecay"):
        optimizer.beta_1 = 0.5
    optimizer.beta_1 = optimizers.schedules.PolynomialDecay(0.8, 10)
    assert float(optimizer.beta_1) == np.float32(0.8)
    with pytest.raises(ValueError, match="beta_1"):
        Adam(beta_1=optimizers.schedules.PolynomialDecay(1.5, 10))
    with pytest.raises(TypeError, match="rate_multiplier"):
        optimizer.rate_multiplier = schedule
