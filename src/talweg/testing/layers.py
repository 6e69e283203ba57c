"""What must hold for any layer."""

import functools
import inspect
import json
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from talweg.core.serialization import deserialize_keras_object, serialize_keras_object
from talweg.layers import Layer
from talweg.ops.keras_tensor import KerasTensor
from talweg.testing.problems import assert_close, assert_same

Make = Callable[[], Layer]
Shapes = Sequence[Sequence[int]]


def _inputs(shapes: Shapes) -> Any:
    rng = np.random.default_rng(3)
    arrays = [rng.uniform(0.1, 1.0, size=shape).astype("float32") for shape in shapes]
    return arrays[0] if len(arrays) == 1 else arrays


def _pure(layer: Layer, training: bool) -> Callable[..., Any]:
    def call(trainable: Any, fixed: Any, x: Any) -> Any:
        return layer.stateless_call(trainable, fixed, x, **_training(layer, training))

    return call


def _training(layer: Layer, training: bool) -> dict[str, Any]:
    takes = "training" in inspect.signature(layer.call).parameters
    return {"training": training} if takes else {}


def _state(layer: Layer) -> tuple[list[Any], list[Any]]:
    return (
        [v.value for v in layer.trainable_variables],
        [v.value for v in layer.non_trainable_variables],
    )


def _called(make: Make, shapes: Shapes) -> tuple[Layer, Any, Any]:
    layer, x = make(), _inputs(shapes)
    return layer, x, layer(x)


def output_shape_is_known_beforehand(make: Make, shapes: Shapes) -> None:
    """A symbolic call and `compute_output_shape` tell the shape and type of the output."""
    layer, _, y = _called(make, shapes)
    symbols = [KerasTensor((None, *shape[1:]), dtype="float32") for shape in shapes]
    symbolic = make()(symbols[0] if len(symbols) == 1 else symbols)
    expected = [(None, *leaf.shape[1:]) for leaf in jax.tree.leaves(y)]
    told = jax.tree.leaves(symbolic, is_leaf=lambda leaf: isinstance(leaf, KerasTensor))
    assert [tuple(t.shape) for t in told] == expected, f"symbolic {told}, real {expected}"
    given = [tuple(shape) for shape in shapes]
    computed = layer.compute_output_shape(given[0] if len(given) == 1 else given)
    if len(expected) == 1:
        assert tuple(computed)[1:] == expected[0][1:], f"compute_output_shape gave {computed}"


def compiled_equals_eager(make: Make, shapes: Shapes) -> None:
    """The same numbers compiled and operation by operation, in training and inference."""
    layer, x, _ = _called(make, shapes)
    for training in (False, True):
        call, state = _pure(layer, training), _state(layer)
        assert_close(jax.jit(call)(*state, x), call(*state, x), f"training={training}", 1e-5)


def inference_is_repeatable(make: Make, shapes: Shapes) -> None:
    """Without `training`, the same input gives the same output and no state changes."""
    layer, x, _ = _called(make, shapes)
    before = _state(layer)
    first = layer(x, **_training(layer, False))
    assert_same(layer(x, **_training(layer, False)), first, "the output")
    assert_same(_state(layer)[0], before[0], "the weights")


def gradients_reach_every_weight(make: Make, shapes: Shapes) -> None:
    """The derivative by each trainable weight is finite, and not zero everywhere."""
    layer, x, _ = _called(make, shapes)
    trainable, fixed = _state(layer)

    def total(weights: Any) -> Any:
        outputs, _ = _pure(layer, True)(weights, fixed, x)
        # A weighted sum: the plain one is constant behind a normalization.
        return sum(
            jnp.sum(y * jnp.cos(jnp.arange(y.size)).reshape(y.shape))
            for y in jax.tree.leaves(outputs)
        )

    if trainable:
        grads = jax.jit(jax.grad(total))(trainable)
        for variable, gradient in zip(layer.trainable_variables, grads, strict=True):
            assert jnp.isfinite(gradient).all(), f"{variable.path} has a gradient of {gradient}"
            assert jnp.any(gradient != 0), f"{variable.path} has no gradient"


def config_makes_an_equal_layer(make: Make, shapes: Shapes) -> None:
    """`from_config(get_config())` with the same weights gives the same output."""
    layer, x, _ = _called(make, shapes)
    cls = type(layer)
    record = json.loads(json.dumps(serialize_keras_object(layer)))
    again = deserialize_keras_object(record, {cls.__name__: cls})
    assert type(again) is cls, f"the record became a {type(again).__name__}"
    again(x)
    again.set_weights(layer.get_weights())
    y = layer(x, **_training(layer, False))
    assert_same(again(x, **_training(again, False)), y, "the output")


def weights_may_be_half_precision(make: Make, shapes: Shapes) -> None:
    """Under `mixed_bfloat16` the output is bfloat16 and the weights stay float32."""
    config = make().get_config()
    layer = type(make()).from_config({**config, "dtype": "mixed_bfloat16"})
    outputs = jax.tree.leaves(layer(_inputs(shapes)))
    kinds = {str(y.dtype) for y in outputs if jnp.issubdtype(y.dtype, jnp.floating)}
    assert kinds <= {"bfloat16"}, f"the output is {kinds}"
    kept = {v.dtype for v in layer.trainable_variables}
    assert kept <= {"float32"}, f"the weights are {kept}"


_CHECKS = (
    output_shape_is_known_beforehand,
    compiled_equals_eager,
    inference_is_repeatable,
    gradients_reach_every_weight,
    config_makes_an_equal_layer,
    weights_may_be_half_precision,
)


def layer_checks(*input_shapes: Sequence[int]) -> tuple[Callable[[Make], None], ...]:
    """The battery for layers that take inputs of these shapes.

    >>> from talweg.layers import Dense
    >>> for check in layer_checks((4, 3)):
    ...     check(lambda: Dense(2))
    """

    def on_shapes(check: Callable[..., None]) -> Callable[[Make], None]:
        @functools.wraps(check)
        def checked(make: Make) -> None:
            check(make, input_shapes)

        return checked

    return tuple(map(on_shapes, _CHECKS))
