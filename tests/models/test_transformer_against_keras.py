"""A transformer of two layers, written once, trained by Keras and by talweg: equal numbers."""

import numpy as np
import pytest

from models.twins import assert_same_weights, twins

# Keras's own variables warn under NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
WORDS, STEPS, SIZE = 11, 6, 8


def transformer(m, causal):
    """Post-norm blocks over words and positions, with padding; logits for the next word."""
    tokens = m.Input((STEPS,), dtype="int32")
    x = m.layers.Embedding(WORDS, SIZE, mask_zero=True)(tokens)
    for _ in range(2):
        attended = m.layers.MultiHeadAttention(2, 4)(x, x, use_causal_mask=causal)
        x = m.layers.LayerNormalization()(m.layers.Add()([x, attended]))
        hidden = m.layers.Dense(16, activation="gelu")(x)
        x = m.layers.LayerNormalization()(m.layers.Add()([x, m.layers.Dense(SIZE)(hidden)]))
    model = m.Model(tokens, m.layers.Dense(WORDS)(x))
    loss = m.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(m.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    return model


@pytest.mark.battery
@pytest.mark.parametrize("causal", [True, False])
def test_three_steps_of_a_transformer_are_those_of_keras(causal):
    random = np.random.default_rng(0)
    tokens = random.integers(1, WORDS, (12, STEPS)).astype("int32")
    tokens[::3, 4:] = 0
    following = np.roll(tokens, -1, axis=1)
    pair = twins(lambda m: transformer(m, causal))
    histories = [
        model.fit(tokens, following, batch_size=4, shuffle=False, epochs=1, verbose=0).history
        for _, model in pair.each()
    ]
    for name in ("loss", "accuracy"):
        np.testing.assert_allclose(histories[1][name], histories[0][name], rtol=2e-5)
    # Adam divides gradients that are zero in exact arithmetic (the keys' bias) by themselves.
    for (_, theirs), (_, ours) in [pair.each()]:
        named = zip(ours.weights, theirs.weights, strict=True)
        kept = [pair for pair in named if not pair[0].path.endswith("key/bias")]
        for mine, other in kept:
            np.testing.assert_allclose(mine.numpy(), other.numpy(), rtol=1e-3, atol=2e-4)
    predicted = [model.predict(tokens, verbose=0) for _, model in pair.each()]
    np.testing.assert_allclose(predicted[1], predicted[0], rtol=1e-3, atol=1e-3)


def test_without_training_the_twins_predict_the_same():
    pair = twins(lambda m: transformer(m, True))
    assert_same_weights(pair)
    tokens = np.random.default_rng(1).integers(0, WORDS, (5, STEPS)).astype("int32")
    ours, theirs = (model.predict(tokens, verbose=0) for _, model in reversed(pair.each()))
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
