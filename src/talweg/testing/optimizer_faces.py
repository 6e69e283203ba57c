"""What must hold for an optimizer's faces, arguments and records."""

import copy
import json
import pickle
import sys
from typing import Any

import jax

from talweg import optimizers
from talweg.core.hyperparameters import Hyper
from talweg.core.variables import Variable
from talweg.testing.problems import (
    Make,
    apply,
    assert_close,
    assert_refused,
    assert_same,
    build,
    compiled,
    gradients,
    innermost,
    parameters,
    steps,
    values,
)


def faces_agree(make: Make) -> None:
    """The pure face, Keras's and optax's take the same steps."""
    optimizer = build(make, parameters())
    expected, _ = steps(optimizer, gradients(4))
    variables = optimizer.trainable_variables
    for gradient in gradients(4):
        if optimizer.needs_objective:
            apply(optimizer, gradient)
        else:
            optimizer.apply_gradients(zip(gradient, variables, strict=True))
    assert_close([v.numpy() for v in variables], expected, "apply_gradients")
    assert int(optimizer.iterations.numpy()) == 4, "iterations does not count the steps"
    if optimizer.needs_objective:
        assert_refused("objective", None, lambda: optimizer.apply(gradients(1)[0]))
        return
    if optimizer.has_update_step:
        return
    names = [v.path for v in variables]
    tree = dict(zip(names, parameters(), strict=True))
    optax = make().as_optax()
    state, update = optax.init(tree), compiled(optax.update)
    for gradient in gradients(4):
        updates, state = update(dict(zip(names, gradient, strict=True)), state, tree)
        tree = jax.tree.map(lambda p, u: p + u, tree, updates)
    assert_close(list(tree.values()), expected, "as_optax")


def stateless_apply_equals_apply(make: Make) -> None:
    """`stateless_apply` returns what `apply` would set, and sets nothing."""
    optimizer = build(make, parameters())
    if optimizer.needs_objective:
        return
    state = [v.value for v in optimizer.variables]
    new, state = compiled(optimizer.stateless_apply)(state, gradients(1)[0], values(optimizer))
    assert_same(values(optimizer), parameters(), "stateless_apply assigned the variables")
    optimizer.apply(gradients(1)[0])
    assert_close(values(optimizer), new, "the variables")
    assert_close([v.value for v in optimizer.variables], state, "the state")


def config_makes_an_equal_optimizer(make: Make) -> None:
    """`from_config(get_config())` has the same config, also after a trip through JSON."""
    given = {"weight_decay": 0.01, "clipnorm": 2.0, "use_ema": True}
    optimizer = make(**given)
    config = optimizer.get_config()
    inside = {**innermost(optimizer).get_config(), "name": None}
    kept = {name: inside.get(name) for name in given}
    assert kept == given, f"the config of {given} holds {kept}"
    missing = {name for name, value in optimizer.hypers.items() if value.init} - set(config)
    assert not missing, f"the config lacks {missing}"
    again = type(optimizer).from_config(json.loads(json.dumps(config)))
    assert again.get_config() == config, f"{config} became {again.get_config()}"
    kept = {**innermost(again).get_config(), "name": None}
    assert kept == inside, f"{inside} became {kept}"
    cls = type(optimizer)
    record = json.loads(json.dumps(optimizers.serialize(optimizer)))
    read = optimizers.deserialize(record, {cls.__name__: cls})
    assert type(read) is cls, f"the record became a {type(read).__name__}"
    assert read.get_config() == config, "the record lost arguments"


def every_invalid_value_is_refused(make: Make) -> None:
    """At construction and by assignment, with a message that names the argument."""
    for name, declaration in make().hypers.items():
        for value in invalid_values(declaration):
            if declaration.init:
                assert_refused(name, value, lambda name=name, value=value: make(**{name: value}))
            optimizer = make()
            assert_refused(
                name, value, lambda o=optimizer, name=name, value=value: setattr(o, name, value)
            )


def invalid_values(declaration: Hyper) -> list[Any]:
    """What a declaration must refuse: outside the interval, or of another kind."""
    if declaration.interval is None:
        return ["yes", 1] if isinstance(declaration.default, bool) else []
    wrong: list[Any] = [*declaration.interval.outside(), "a", True, [1.0]]
    if declaration.integer:
        wrong.append(2.5)
    return wrong if declaration.optional else [*wrong, None]


def unknown_arguments_are_refused(make: Make) -> None:
    """A misspelt argument is an error that names it."""
    assert_refused("learning_rte", 0.1, lambda: make(learning_rte=0.1))


def rate_may_be_a_variable_a_schedule_or_a_callable(make: Make) -> None:
    """All are obeyed; the variable stays live and refuses impossible rates."""
    rate = Variable(0.25, trainable=False)
    schedule = optimizers.schedules.PiecewiseConstantDecay([1], [0.25, 0.5])
    asked = {"rate": 0.25}
    for given in (rate, schedule, lambda: asked["rate"]):
        optimizer = build(make, parameters(), learning_rate=given)
        assert optimizer.rate == 0.25, f"{given!r} gave the rate {optimizer.rate}"
        apply(optimizer, gradients(1)[0])
    rate.assign(0.5)
    optimizer = build(make, parameters(), learning_rate=rate)
    rate.assign(0.125)
    assert optimizer.rate == 0.125, "the variable is not live"
    assert_refused("learning_rate", -1.0, lambda: rate.assign(-1.0))
    optimizer.rate_multiplier = 0.5
    assert optimizer.rate == 0.0625, "the multiplier is not a factor of the rate"


def copies_go_their_own_way(make: Make) -> None:
    """A copy, or what is unpickled, takes the same steps and shares no state."""
    optimizer = build(make, parameters())
    apply(optimizer, gradients(1)[0])
    cls = type(optimizer)
    # A class that no module holds cannot be pickled by anyone.
    found = getattr(sys.modules.get(cls.__module__), cls.__qualname__, None) is cls
    copies = [copy.deepcopy(optimizer)]
    if found:
        copies.append(pickle.loads(pickle.dumps(optimizer)))
    before = [weight.copy() for weight in optimizer.get_weights()]
    for copied in copies:
        apply(copied, gradients(2)[1])
        assert_same(optimizer.get_weights(), before, "the copy's step moved the original")
    apply(optimizer, gradients(2)[1])
    for copied in copies:
        assert_same(copied.get_weights(), optimizer.get_weights(), "the state of the copy")
        assert_same(values(copied), values(optimizer), "the variables of the copy")


FACES = (
    faces_agree,
    stateless_apply_equals_apply,
    config_makes_an_equal_optimizer,
    every_invalid_value_is_refused,
    unknown_arguments_are_refused,
    rate_may_be_a_variable_a_schedule_or_a_callable,
    copies_go_their_own_way,
)
