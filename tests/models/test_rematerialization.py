"""RematScope and remat: the same gradients and states with less memory."""

import contextlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import talweg
from talweg import RematScope, layers, remat

X = np.random.default_rng(0).normal(size=(512, 64)).astype("float32")


def network(scope: Any) -> talweg.Model:
    talweg.utils.clear_session()
    talweg.utils.set_random_seed(0)
    with scope:
        x = h = talweg.Input((64,))
        for i in range(5):
            h = layers.Dense(64, activation="gelu", name=f"hidden{i}")(h)
        h = layers.Dropout(0.3)(layers.BatchNormalization()(h))
        h = layers.Dense(1, activity_regularizer="l2")(h)
        return talweg.Model(x, h)


def compiled(model: talweg.Model) -> tuple[Any, list[Any]]:
    """The gradient of a loss with penalties, compiled, and the arrays it is of."""
    params = [v.value for v in model.trainable_variables]
    fixed = [v.value for v in model.non_trainable_variables]

    def loss(params: Any) -> Any:
        outputs, after, added = model.stateless_call(
            params, fixed, X, training=True, return_losses=True
        )
        return jnp.mean(outputs**2) + sum(added), after

    return jax.jit(jax.grad(loss, has_aux=True)).lower(params).compile(), params


@pytest.fixture(scope="module")
def plain() -> Any:
    program, params = compiled(network(contextlib.nullcontext()))
    return program.memory_analysis().temp_size_in_bytes, program(params)


@pytest.mark.sampled(count=2)
@pytest.mark.parametrize(
    "scope",
    [
        RematScope("full"),
        RematScope("activations"),
        RematScope("larger_than", output_size_threshold=512 * 63),
        RematScope("list_of_layers", layer_names=["hidden1", "hidden2", "hidden3"]),
    ],
    ids=lambda scope: scope.mode,
)
def test_gradients_and_states_are_equal_and_memory_falls(scope: RematScope, plain: Any) -> None:
    memory, (gradients, states) = plain
    program, params = compiled(network(scope))
    again, states_again = program(params)
    for one, other in zip([*gradients, *states], [*again, *states_again], strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-6)
    assert program.memory_analysis().temp_size_in_bytes < 0.85 * memory


def test_a_threshold_that_no_output_passes_changes_nothing(plain: Any) -> None:
    program, _ = compiled(network(RematScope("larger_than", output_size_threshold=512 * 64)))
    assert program.memory_analysis().temp_size_in_bytes == plain[0]


def test_scopes_nest_and_hold_for_what_is_made_inside() -> None:
    with RematScope("full") as outer:
        first = layers.Dense(2)
        with RematScope(None):
            second = layers.Dense(2)
        third = layers.Dense(2)
    after = layers.Dense(2)
    assert (first.remat_scope, third.remat_scope) == (outer, outer)
    assert second.remat_scope is not None
    assert second.remat_scope.mode is None
    assert after.remat_scope is None
    with pytest.raises(ValueError, match="mode of RematScope"):
        RematScope("half")


def test_fit_masks_and_mixed_precision_work_inside() -> None:
    steps = np.array([[1, 2, 0], [3, 0, 0]] * 4, "int32")
    results = []
    for scope in (contextlib.nullcontext(), RematScope("full")):
        talweg.utils.set_random_seed(0)
        talweg.mixed_precision.set_global_policy("mixed_bfloat16")
        with scope:
            model = talweg.Sequential(
                [
                    layers.Input((3,), dtype="int32"),
                    layers.Embedding(4, 3, mask_zero=True),
                    layers.SimpleRNN(2),
                    layers.Dense(1, dtype="float32"),
                ]
            )
        talweg.mixed_precision.set_global_policy("float32")
        model.compile(talweg.optimizers.SGD(0.1), "mse")
        model.fit(
            steps, steps[:, :1].astype("float32"), epochs=2, batch_size=8, verbose=0, shuffle=False
        )
        results.append([*model.get_weights(), model.predict(steps)])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(other, one, rtol=2e-2, atol=1e-3)


def test_remat_of_functions_layers_and_their_methods() -> None:
    dropout = layers.Dropout(0.5, seed=3)
    norm = layers.BatchNormalization()
    norm.build((None, 4))
    x = jnp.asarray(X[:6, :4])
    np.testing.assert_allclose(
        jax.grad(lambda x: remat(jnp.tanh)(x).sum())(x), jax.grad(lambda x: jnp.tanh(x).sum())(x)
    )

    def loss(call: Any) -> Any:
        def of(x: Any) -> Any:
            trainable = [v.value for v in norm.trainable_variables]
            with talweg.StatelessScope(zip(norm.trainable_variables, trainable, strict=True)) as s:
                y = (call(x, training=True) ** 3).sum()
            return y, [s.get_current_value(v) for v in norm.non_trainable_variables]

        return jax.grad(of, has_aux=True)(x)

    for one, other in zip(
        jax.tree.leaves(loss(norm)), jax.tree.leaves(loss(remat(norm))), strict=True
    ):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-6)
    for call in (dropout, remat(dropout), remat(dropout.call)):
        dropout.seed_generator.state.assign([3, 0])
        np.testing.assert_array_equal(np.asarray(call(x, training=True)) == 0, _dropped(dropout, x))
        assert dropout.seed_generator.state.numpy()[1] == 1
    assert remat(norm)(talweg.Input((4,))).shape == (None, 4)


def _dropped(dropout: Any, x: Any) -> Any:
    state = dropout.seed_generator.state.numpy()
    dropout.seed_generator.state.assign([3, 0])
    dropped = np.asarray(dropout(x, training=True)) == 0
    dropout.seed_generator.state.assign(state)
    return dropped
