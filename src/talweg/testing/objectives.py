"""What must hold for any loss or metric that compares targets with predictions."""

import json
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from talweg.core.serialization import deserialize_keras_object, serialize_keras_object
from talweg.losses import Loss
from talweg.metrics import Metric
from talweg.testing.problems import assert_close, assert_same

_rng = np.random.default_rng(5)
TARGETS = _rng.uniform(size=(8, 3)).astype("float32")
PREDICTIONS = _rng.uniform(size=(8, 3)).astype("float32")
WEIGHTS = _rng.uniform(0.5, 2.0, size=8).astype("float32")


def _again(target: Any) -> Any:
    """The object that the JSON record of `target` describes."""
    cls = type(target)
    record = json.loads(json.dumps(serialize_keras_object(target)))
    return deserialize_keras_object(record, {cls.__name__: cls})


def loss_is_a_finite_scalar_with_a_gradient(make: Callable[[], Loss]) -> None:
    """And the gradient by the predictions is finite and not zero."""
    value, gradient = jax.jit(jax.value_and_grad(lambda p: make()(TARGETS, p)))(PREDICTIONS)
    assert value.shape == (), f"the loss has shape {value.shape}"
    assert jnp.isfinite(value), f"the loss is {value}"
    assert jnp.isfinite(gradient).all(), f"the gradient is {gradient}"
    assert jnp.any(gradient != 0), "the gradient is zero"


def loss_is_the_mean_over_samples(make: Callable[[], Loss]) -> None:
    """`call` gives one value per sample; sample weights multiply them."""
    loss = make()
    values = loss.call(jnp.asarray(TARGETS), jnp.asarray(PREDICTIONS))
    assert values.shape[:1] == (8,), f"call gave shape {values.shape} for 8 samples"
    assert_close(loss(TARGETS, PREDICTIONS), jnp.mean(values), "the mean")
    weighted = jnp.mean(values * WEIGHTS.reshape((8,) + (1,) * (values.ndim - 1)))
    assert_close(loss(TARGETS, PREDICTIONS, sample_weight=WEIGHTS), weighted, "the weighted mean")


def loss_config_makes_an_equal_loss(make: Callable[[], Loss]) -> None:
    """The record gives the same loss, through JSON."""
    loss = make()
    again = _again(loss)
    assert type(again) is type(loss), f"the record became a {type(again).__name__}"
    assert_same(again(TARGETS, PREDICTIONS), loss(TARGETS, PREDICTIONS), "the loss")


def metric_of_batches_is_that_of_all(make: Callable[[], Metric]) -> None:
    """Two batches give what one batch of both gives; weights of 1 change nothing."""
    whole, halves, weighted = make(), make(), make()
    whole.update_state(TARGETS, PREDICTIONS)
    halves.update_state(TARGETS[:3], PREDICTIONS[:3])
    halves.update_state(TARGETS[3:], PREDICTIONS[3:])
    assert_close(halves.result(), whole.result(), "two batches")
    weighted.update_state(TARGETS, PREDICTIONS, sample_weight=np.ones(8, "float32"))
    assert_close(weighted.result(), whole.result(), "weights of 1")


def metric_forgets(make: Callable[[], Metric]) -> None:
    """After `reset_state` it is as new."""
    metric, new = make(), make()
    metric.update_state(TARGETS[:4], PREDICTIONS[:4])
    metric.reset_state()
    metric.update_state(TARGETS[4:], PREDICTIONS[4:])
    new.update_state(TARGETS[4:], PREDICTIONS[4:])
    assert_same(metric.result(), new.result(), "the result")


def metric_is_pure(make: Callable[[], Metric]) -> None:
    """The compiled stateless methods equal the others and set nothing."""
    metric = make()
    metric.update_state(TARGETS, PREDICTIONS)
    expected = metric.result()
    metric.reset_state()
    before = [v.value for v in metric.variables]
    state = jax.jit(metric.stateless_update_state)(before, TARGETS, PREDICTIONS)
    assert_same([v.value for v in metric.variables], before, "the variables")
    assert_close(jax.jit(metric.stateless_result)(state), expected, "the result")


def metric_config_makes_an_equal_metric(make: Callable[[], Metric]) -> None:
    """The record gives the same metric, through JSON."""
    metric = make()
    again = _again(metric)
    assert type(again) is type(metric), f"the record became a {type(again).__name__}"
    for each in (metric, again):
        each.update_state(TARGETS, PREDICTIONS)
    assert_same(again.result(), metric.result(), "the result")


LOSS = (
    loss_is_a_finite_scalar_with_a_gradient,
    loss_is_the_mean_over_samples,
    loss_config_makes_an_equal_loss,
)
METRIC = (
    metric_of_batches_is_that_of_all,
    metric_forgets,
    metric_is_pure,
    metric_config_makes_an_equal_metric,
)
