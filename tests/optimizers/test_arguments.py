"""What an optimizer can be told: every form of the rate, impossible values, old names."""

import inspect
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import talweg
from optimizers.listed_rates import LISTED
from talweg import backend, optimizers
from talweg.core.serialization import register_keras_serializable
from talweg.core.variables import Variable
from talweg.optimizers import SGD, Adam, schedules

FORMS = {
    "float": lambda: 0.25,
    "int": lambda: 1,
    "numpy": lambda: np.float64(0.25),
    "numpy int": lambda: np.int64(1),
    "jax": lambda: jnp.float32(0.25),
    "variable": lambda: Variable(0.25, trainable=False),
    "callable": lambda: lambda: 0.25,
    "schedule": lambda: schedules.PiecewiseConstantDecay([10], [0.25, 0.5]),
    "record": lambda: schedules.serialize(schedules.PiecewiseConstantDecay([10], [0.25, 0.5])),
}


@pytest.mark.parametrize("form", FORMS)
def test_rate_takes_every_form(form):
    optimizer = SGD(FORMS[form]())
    rate = 1.0 if "int" in form else 0.25
    assert optimizer.rate == rate
    v = Variable(np.ones(2, "float32"))
    optimizer.apply_gradients([(np.ones(2, "float32"), v)])
    np.testing.assert_allclose(v.numpy(), 1 - rate)
    again = SGD.from_config(optimizer.get_config())
    assert again.rate == rate


def test_number_is_set_by_all_its_names():
    optimizer = SGD(0.5)
    optimizer.learning_rate = 0.25
    assert float(optimizer.learning_rate) == 0.25
    optimizer.learning_rate.assign(0.125)
    assert optimizer.rate == 0.125
    backend.set_value(optimizer.lr, 0.5)
    assert optimizer.rate == 0.5
    optimizer.lr = 0.25
    assert optimizer.rate == 0.25


def test_callable_is_asked_before_every_step():
    asked = iter([0.5, 0.5, 0.25, 0.25, 0.125, 0.125])
    optimizer = SGD(lambda: next(asked))
    v = Variable(np.zeros((), "float32"))
    optimizer.build([v])
    for _ in range(2):
        optimizer.apply([jnp.float32(1.0)])
    assert -float(v) < 1.0
    assert len(optimizer.variables) == 1  # as in Keras: no rate among them


@pytest.mark.parametrize("value", [-0.01, float("nan"), float("inf"), 1e30, "a", None, True])
def test_impossible_rates_are_refused_everywhere(value):
    for attempt in (
        lambda: Adam(value),
        lambda: setattr(Adam(), "learning_rate", value),
        lambda: setattr(Adam(), "rate_multiplier", value),
    ):
        with pytest.raises((ValueError, TypeError), match=r"Adam: (learning_rate|rate_multiplier)"):
            attempt()


def test_users_variable_refuses_impossible_rates():
    rate = Variable(0.1, trainable=False)
    optimizer = Adam(rate)
    for value in (-0.01, float("nan"), float("inf"), 1e30):
        with pytest.raises(ValueError, match="Adam: learning_rate"):
            backend.set_value(rate, value)
    assert optimizer.rate == pytest.approx(0.1)


@pytest.mark.parametrize(
    "options",
    [
        {"weight_decay": -1},
        {"clipnorm": -1},
        {"clipvalue": float("nan")},
        {"beta_1": 1.5},
        {"beta_2": 0.99999999},  # 1 in float32
        {"gradient_accumulation_steps": 1},
        {"ema_overwrite_frequency": 0},
        {"amsgrad": "yes"},
        {"learning_rate": lambda step: 0.1},
    ],
    ids=lambda options: next(iter(options)),
)
def test_impossible_values_are_refused(options):
    with pytest.raises((ValueError, TypeError), match=f"Adam: {next(iter(options))}"):
        Adam(**options)


def test_a_rate_of_zero_warns_once():
    with pytest.warns(UserWarning, match="learning_rate is 0"):
        optimizer = SGD(0.0)
    optimizer.learning_rate = 0.1
    optimizer.learning_rate = 0.0
    other = SGD(0.1)
    with pytest.warns(UserWarning, match="learning_rate is 0"):
        other.learning_rate = 0


def test_two_clippers_are_refused_in_keras_words():
    with pytest.raises(ValueError, match="Only one of `clipnorm`, `clipvalue` and `global_clip"):
        SGD(clipnorm=1.0, clipvalue=1.0)


def test_old_and_wrong_names():
    with pytest.warns(UserWarning, match="learning_rate"):
        assert SGD(lr=0.5).rate == 0.5
    with pytest.raises(TypeError, match=r"schedules\.InverseTimeDecay"):
        SGD(0.1, decay=1e-6)
    with pytest.raises(TypeError, match="Did you mean 'beta_1'"):
        Adam(beta1=0.9)
    with pytest.raises(TypeError, match="at most"):
        SGD(*range(50))
    with pytest.raises(TypeError, match="twice"):
        SGD(0.1, learning_rate=0.1)
    with pytest.raises(ValueError, match="Did you mean 'adam'"):
        optimizers.get("adma")


def test_scheduled_rate_cannot_be_set_but_scaled_and_replaced():
    optimizer = SGD(schedules.CosineDecay(0.5, 10))
    v = Variable(np.zeros((), "float32"))
    optimizer.build([v])
    with pytest.raises(TypeError, match="rate_multiplier"):
        optimizer.learning_rate = 0.1
    optimizer.rate_multiplier = 0.5
    optimizer.apply([jnp.float32(1.0)])
    assert float(v) == -0.25
    # The compiled step must not go on with the schedule it was traced with.
    optimizer.learning_rate = schedules.PiecewiseConstantDecay([100], [0.125, 0.5])
    optimizer.apply([jnp.float32(1.0)])
    assert float(v) == -0.3125
    optimizer.learning_rate = lambda: 0.25
    optimizer.apply([jnp.float32(1.0)])
    assert float(v) == -0.4375


def test_number_can_give_way_to_a_schedule():
    optimizer = SGD(0.5)
    v = Variable(np.zeros((), "float32"))
    optimizer.build([v])
    assert len(optimizer.variables) == 2
    optimizer.apply([jnp.float32(1.0)])
    optimizer.learning_rate = schedules.PiecewiseConstantDecay([100], [0.25, 0.5])
    assert len(optimizer.variables) == 1
    optimizer.apply([jnp.float32(1.0)])
    assert float(v) == -0.75


def test_structure_is_settled_by_build():
    optimizer = SGD(0.1)
    optimizer.build([Variable(np.ones(2, "float32"))])
    with pytest.raises(ValueError, match="nesterov must be set before"):
        optimizer.nesterov = True
    with pytest.raises(ValueError, match="momentum must be above 0 at construction"):
        optimizer.momentum = 0.9
    with pytest.raises(ValueError, match="clipnorm must be given at construction"):
        optimizer.clipnorm = 1.0
    early = SGD(0.1)
    early.momentum = 0.9
    early.build([Variable(np.ones(2, "float32"))])
    assert len(early.variables) == 3


def test_hyperparameters_read_as_they_were_given():
    optimizer = Adam(beta_1=0.85)
    assert optimizer.beta_1 == 0.85
    optimizer.beta_1 = 0.7
    assert optimizer.beta_1 == 0.7
    assert optimizer.get_config()["beta_1"] == 0.7
    assert repr(Adam(3e-4, amsgrad=True)) == "Adam(learning_rate=0.0003, amsgrad=True)"
    schedule = optimizers.schedules.Linear(0.1, 0.0, 5)
    assert repr(Adam(schedule)) == f"Adam(learning_rate={schedule!r})"


@pytest.mark.parametrize("name", LISTED)
def test_what_an_optimizer_is_shown_as_can_be_typed(name):
    shown = repr(LISTED[name]())
    assert repr(eval(shown, vars(optimizers).copy())) == shown


def test_none_is_no_optimizer_as_in_keras():
    assert optimizers.get(None) is None
    assert keras.optimizers.get(None) is None
    with pytest.raises(TypeError, match="the one inside must be an optimizer or its name"):
        optimizers.Cautious(None)


# Keras reads its own variables in a way that NumPy 2 warns of.
@pytest.mark.filterwarnings("ignore:__array__ implementation")
@pytest.mark.parametrize("name", ["SGD", "RMSprop", "Adam", "Adagrad", "Nadam"])
def test_signature_config_and_identifier_equal_keras(name):
    mine, theirs = getattr(optimizers, name), getattr(keras.optimizers, name)
    config, reference = mine().get_config(), theirs().get_config()
    assert config == {**reference, "name": config["name"]}
    listed = [p for p in inspect.signature(theirs).parameters if p != "kwargs"]
    assert list(inspect.signature(mine).parameters) == listed
    defaults = {p: v.default for p, v in inspect.signature(theirs).parameters.items()}
    for argument, parameter in inspect.signature(mine).parameters.items():
        if argument != "name":
            assert parameter.default == defaults[argument], argument
    for identifier in (name, name.lower(), mine, mine(), optimizers.serialize(mine())):
        assert type(optimizers.get(identifier)) is mine
    assert type(optimizers.get(keras.optimizers.serialize(theirs()))) is mine
    assert type(keras.optimizers.deserialize(optimizers.serialize(mine()))) is theirs


def test_record_holds_the_users_schedule():
    @register_keras_serializable("tests")
    class Half(schedules.LearningRateSchedule):
        def __call__(self, step):
            return jnp.float32(0.5)

        def get_config(self):
            return {}

    again = optimizers.deserialize(optimizers.serialize(SGD(Half())))
    assert again.rate == 0.5


def test_no_warning_and_no_device_work_for_an_ordinary_optimizer():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("SGD", "RMSprop", "Adam", "Adagrad", "Nadam"):
            getattr(optimizers, name)()


def test_errors_of_the_faces():
    optimizer = SGD(0.1)
    a, b = (Variable(np.ones(2, "float32"), name=n) for n in "ab")
    with pytest.raises(RuntimeError, match="build"):
        _ = optimizer.state
    with pytest.raises(ValueError, match="No gradients provided for any variable"):
        optimizer.apply_gradients([(None, a)])
    with pytest.raises(ValueError, match="does not know"):
        optimizer.apply_gradients([(a.value, b)])
    with pytest.raises(ValueError, match="one for each"):
        optimizer.apply([a.value, a.value])
    with pytest.raises(ValueError, match="params"):
        optimizer.as_optax().update([jnp.ones(2)], optimizer.init([jnp.ones(2)]))
    with pytest.raises(ValueError, match="weights"):
        optimizer.set_weights([np.ones(2)])
    with pytest.raises(ValueError, match=r"exclude_from_weight_decay\(\) before"):
        optimizer.exclude_from_weight_decay(var_names=["bias"])


def test_population_over_hyperparameters_of_the_start():
    optimizer = optimizers.Adagrad(0.1)
    params = [jnp.ones(3)]
    starts = {"initial_accumulator_value": jnp.array([0.1, 1.0])}
    states = jax.vmap(lambda hyper: optimizer.init(params, hyper))(starts)
    np.testing.assert_allclose(states.slots[0].accumulator[:, 0], [0.1, 1.0])


def test_variables_may_be_assigned_from_variables_and_constrained():
    v = Variable(np.array([-1.0, 1.0], "float32"))
    v.constraint = lambda w: jnp.maximum(w, 0.0)
    SGD(0.5).apply_gradients([(v, v)])
    np.testing.assert_allclose(v.numpy(), [0.0, 0.5])


def test_a_change_of_all_gradients_is_refused_where_fit_would_not_make_it() -> None:
    def centred(grads: Any) -> list[Any]:
        return [g - g.mean(axis=0) if g.ndim > 1 else g for g in grads]

    class Refused(optimizers.SGD):
        def apply(self, grads: Any, trainable_variables: Any = None) -> None:
            super().apply(centred(grads), trainable_variables)

    class Understood(optimizers.SGD):
        def apply_rule(self, grads: Any, *rest: Any) -> Any:
            return super().apply_rule(centred(grads), *rest)

    x, y = np.arange(12, dtype="f4").reshape(4, 3), np.ones((4, 2), "f4")
    by_hand = []
    for make in (Refused, Understood):
        variable = talweg.Variable(np.zeros((3, 2), "f4"))
        optimizer = make(0.5)
        optimizer.build([variable])
        optimizer.apply([x[:3, :2]], [variable])
        by_hand.append(variable.numpy())
    np.testing.assert_allclose(by_hand[0], -0.5 * centred([x[:3, :2]])[0])
    np.testing.assert_allclose(by_hand[1], by_hand[0])
    model = talweg.Sequential([talweg.Input((3,)), talweg.layers.Dense(2)])
    model.compile(Refused(0.01), "mse")
    with pytest.raises(NotImplementedError, match="apply_rule"):
        model.fit(x, y, verbose=0)
    before = model.layers[0].kernel.numpy().mean(axis=0)
    model.compile(Understood(0.01), "mse")
    model.fit(x, y, verbose=0)
    np.testing.assert_allclose(model.layers[0].kernel.numpy().mean(axis=0), before, atol=1e-6)
