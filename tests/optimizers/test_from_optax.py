"""An optax transformation inside talweg takes the steps that it takes in a loop of its own."""

import copy
import json
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import talweg
from models.twins import numbers
from talweg import optimizers
from talweg.layers import Dense
from talweg.optimizers import from_optax
from talweg.optimizers.state import Factors, Tensor
from talweg.testing import optimizer_laws
from talweg.testing.optimizer_faces import faces_agree
from talweg.testing.problems import build, gradients, parameters, steps

NAMES = ["v0", "v1", "v2", "v3"]


def labels(params):
    return {name: "a" if name in ("v0", "v1") else "b" for name in params}


TRANSFORMATIONS = {
    "adamw": lambda: optax.adamw(1e-2, weight_decay=0.1),
    "masked": lambda: optax.adamw(
        1e-2, weight_decay=0.1, mask=lambda params: jax.tree.map(lambda p: p.ndim > 1, params)
    ),
    "chain": lambda: optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-2)),
    "lion": lambda: optax.lion(1e-3),
    "multi_transform": lambda: optax.multi_transform(
        {"a": optax.adam(1e-2), "b": optax.sgd(1e-2, momentum=0.9)}, labels
    ),
    "labels in a dict": lambda: optax.multi_transform(
        {"a": optax.adam(1e-2), "b": optax.set_to_zero()},
        dict(zip(NAMES, "aabb", strict=True)),
    ),
    "schedule": lambda: optax.adam(optax.linear_schedule(1e-2, 1e-4, 10)),
    "injected schedule": lambda: optax.inject_hyperparams(optax.adam)(
        optax.linear_schedule(1e-2, 1e-4, 10)
    ),
    "injected": lambda: optax.inject_hyperparams(optax.adamw)(1e-2),
    "injected in a chain": lambda: optax.chain(
        optax.clip(1.0), optax.inject_hyperparams(optax.sgd)(1e-2, momentum=0.9)
    ),
    "noise": lambda: optax.chain(optax.add_noise(0.1, 0.5, key=jax.random.key(0)), optax.sgd(1e-2)),
    "matrices": lambda: optax.contrib.muon(1e-2),
    "every two": lambda: optax.MultiSteps(optax.adam(1e-2), 2).gradient_transformation(),
    "of talweg": lambda: optimizers.Adam(1e-2).as_optax(),
}


def loop(transformation, grads, params=None):
    """The steps as optax is used by itself."""
    params = dict(zip(NAMES, parameters() if params is None else params, strict=True))
    params = jax.tree.map(jnp.asarray, params)
    state = transformation.init(params)

    @jax.jit
    def step(gradient, state, params):
        updates, state = transformation.update(gradient, state, params)
        return optax.apply_updates(params, updates), state

    for gradient in grads:
        params, state = step(dict(zip(NAMES, gradient, strict=True)), state, params)
    return list(params.values())


def assert_close(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-6, atol=1e-6)


@pytest.mark.sampled(count=7)
@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_steps_are_those_of_a_loop_in_optax(name):
    make = TRANSFORMATIONS[name]
    ours, _ = steps(build(partial(from_optax, make()), parameters()), gradients(20))
    assert_close(ours, loop(make(), gradients(20)))


@pytest.mark.parametrize(
    ("given", "rate", "expected"),
    [
        (optax.adamw, 0.02, optax.adamw(0.02)),
        (optax.inject_hyperparams(optax.adamw), 0.02, optax.adamw(0.02)),
        (optax.inject_hyperparams(optax.adamw)(1.0), 0.02, optax.adamw(0.02)),
        (optax.chain(optax.clip(1.0), optax.inject_hyperparams(optax.sgd)(1.0)), 0.02,
         optax.chain(optax.clip(1.0), optax.sgd(0.02))),
        (optax.sgd(0.1), 0.2, optax.sgd(0.02)),
        (optax.contrib.prodigy, None, optax.contrib.prodigy()),
    ],
)  # fmt: skip
def test_rate_drives_what_takes_one_and_multiplies_the_rest(given, rate, expected):
    optimizer = build(partial(from_optax, given, rate), parameters())
    assert_close(steps(optimizer, gradients(5))[0], loop(expected, gradients(5)))


@pytest.mark.parametrize("given", [optax.sgd, optax.inject_hyperparams(optax.sgd)(1.0)])
def test_parts_of_a_model_scale_their_rate(given):
    optimizer = from_optax(given, 0.1)
    params, grads = [jnp.ones(2), jnp.ones(2)], [jnp.ones(2), jnp.ones(2)]
    one, half = jnp.float32(1), jnp.float32(0.5)
    tensors = [Tensor("a"), Tensor("b", factors=Factors(half, one, one, jnp.bool_(False)))]
    state = optimizer.init_leaves(params, tensors)
    new, _ = optimizer.update_leaves(grads, state, params, tensors)
    assert_close(new, [[0.9, 0.9], [0.95, 0.95]])


def test_default_rate():
    injected = optax.inject_hyperparams(optax.adam)(0.125)
    assert from_optax(injected).rate == 0.125
    assert from_optax(optax.adam(0.125)).rate == 1.0
    assert from_optax(optax.contrib.prodigy).rate == 1.0
    with pytest.raises(ValueError, match="learning_rate"):
        from_optax(optax.adam)
    several = {"a": injected, "b": optax.inject_hyperparams(optax.sgd)(0.5)}
    assert from_optax(optax.multi_transform(several, lambda p: dict.fromkeys(p, "a"))).rate == 1.0
    chained = optax.chain(*several.values())
    assert from_optax(chained).rate == 1.0


LAWS = (
    optimizer_laws.zero_rate_moves_nothing,
    optimizer_laws.vmapped_equals_looped,
    optimizer_laws.resumed_equals_uninterrupted,
    optimizer_laws.missing_gradients_leave_their_tensor,
    optimizer_laws.half_types_follow_float32,
    optimizer_laws.accumulated_gradients_are_averaged,
    faces_agree,
)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_laws_hold(law):
    """Those of every optimizer: vmapped, resumed, without gradients, in half precision …"""

    def make(**options):
        return from_optax(optax.adam, **{"learning_rate": 1e-2, **options})

    law(make)


def test_copies_go_their_own_way():
    optimizer = build(partial(from_optax, optax.adam, 0.1), parameters())
    optimizer.apply(gradients(1)[0])
    copied = copy.deepcopy(optimizer)
    copied.apply(gradients(2)[1])
    assert int(optimizer.iterations.numpy()) == 1
    optimizer.apply(gradients(2)[1])
    assert_close(copied.get_weights(), optimizer.get_weights())


def test_fit_without_recompiling_at_live_rates():
    x, y = numbers()

    class Set(talweg.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.optimizer.learning_rate = 0.1 / (epoch + 1)

    def fitted(optimizer):
        talweg.utils.set_random_seed(0)
        model = talweg.Sequential([Dense(8, activation="tanh", input_dim=4), Dense(1)])
        model.compile(optimizer, "mse")
        history = model.fit(x, y, epochs=3, shuffle=False, verbose=0, callbacks=[Set()])
        assert set(model._ready().train_program.traces.values()) == {1}
        np.testing.assert_allclose(history.history["learning_rate"], [0.1, 0.05, 0.1 / 3])
        return model.get_weights()

    expected = fitted(from_optax(partial(optax.sgd, momentum=0.9), 0.1))
    assert_close(fitted(from_optax(optax.sgd(1.0, momentum=0.9), 0.1)), expected)


def test_labels_go_by_the_paths_of_the_model():
    def labels(params):
        return {path: "head" if "head" in path else "body" for path in params}

    x, y = numbers()
    model = talweg.Sequential([Dense(3, input_dim=4, name="body"), Dense(1, name="head")])
    frozen = optax.multi_transform({"head": optax.sgd(0.1), "body": optax.set_to_zero()}, labels)
    model.compile(from_optax(frozen), "mse")
    before = model.get_weights()
    model.fit(x, y, verbose=0)
    moved = [not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert moved == [False, False, True, True]


def test_schedules_of_talweg_drive_it():
    schedule = optimizers.schedules.ExponentialDecay(0.1, 5, 0.5)
    ours = build(partial(from_optax, optax.adam, schedule), parameters())
    theirs = build(partial(from_optax, optax.adam(schedule)), parameters())
    assert_close(steps(ours, gradients(5))[0], steps(theirs, gradients(5))[0])


def test_compared_beside_the_same_optimizer_of_talweg():
    x, y = numbers()
    result = talweg.compare(
        lambda: talweg.Sequential([Dense(1, input_dim=4)]), x, y,
        optimizers={"theirs": from_optax(optax.sgd, 0.1), "ours": optimizers.SGD(0.1)},
        learning_rates=[1e-5, 0.1], folds=2, epochs=2, verbose=0, loss="mse", metrics=[],
    )  # fmt: skip
    scores = {(t.optimizer, t.learning_rate, t.fold): t.score for t in result.trials}
    for fold in range(2):
        ours, theirs = (scores[name, 0.1, fold] for name in ("ours", "theirs"))
        assert ours == pytest.approx(theirs, rel=1e-5)


def test_it_cannot_be_written_and_says_so():
    optimizer = from_optax(optax.adam(0.1), name="mine")
    with pytest.raises(TypeError, match=r"from_optax\(.*cannot be written"):
        optimizers.serialize(optimizer)
    model = talweg.Sequential([Dense(1)])
    model.compile(optimizer, "mse")
    with pytest.raises(TypeError, match="cannot be written"):
        json.dumps(model.get_compile_config())


@pytest.mark.parametrize("wrong", [3, "adam", None])
def test_what_is_no_transformation_is_refused(wrong):
    with pytest.raises(TypeError, match="transformation"):
        from_optax(wrong)


def test_a_transformation_that_wants_the_loss_is_refused_with_what_to_use():
    optimizer = from_optax(optax.lbfgs())
    state = optimizer.init([jnp.ones(2)])
    with pytest.raises(TypeError, match=r"from_optax\(.*optimizers\.LBFGS\(\).*value_fn"):
        optimizer.update([jnp.ones(2)], state, [jnp.ones(2)])
