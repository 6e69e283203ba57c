"""Models inside models in a `.keras` file: compiled as they were, as in Keras."""

from typing import Any

import keras
import numpy as np
import pytest

import talweg

pytestmark = [
    # Keras's own arrays trip over NumPy 2.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    # It drops the state of the optimizer inside.
    pytest.mark.filterwarnings("ignore:Skipping variable loading:UserWarning"),
]

X = np.linspace(-1, 1, 24, dtype=np.float32).reshape(8, 3)
Y = X[:, :1]


def adversarial(k: Any, trained: bool = True) -> Any:
    """A judge that is trained by itself, and a model in which it stands frozen."""
    judge = k.Sequential([k.Input((3,)), k.layers.Dense(1)], name="judge")
    judge.compile(k.optimizers.Adam(0.01), "mse", metrics=["mae"])
    if trained:
        judge.fit(X, Y, verbose=0, epochs=2)
    judge.trainable = False
    maker = k.Sequential([k.Input((3,)), k.layers.Dense(3)], name="maker")
    x = k.Input((3,))
    model = k.Model(x, judge(maker(x)))
    model.compile(k.optimizers.SGD(0.02), "mae")
    if trained:
        model.train_on_batch(X, Y)
    return model


@pytest.mark.parametrize("k", [talweg, keras])
def test_a_model_inside_is_compiled_as_it_was(k: Any, tmp_path: Any) -> None:
    model, path = adversarial(k), tmp_path / "model.keras"
    model.save(path)
    judge = model.get_layer("judge")
    expected = judge.evaluate(X, Y, verbose=0)
    for library in (talweg, keras):
        again = library.models.load_model(path)
        inside = again.get_layer("judge")
        assert inside.compiled
        assert not again.get_layer("maker").compiled
        np.testing.assert_allclose(inside.evaluate(X, Y, verbose=0), expected, rtol=1e-5)
        assert float(inside.optimizer.learning_rate) == pytest.approx(0.01)
    ours = talweg.saving.load_model(path)
    inside = ours.get_layer("judge")
    # Keras builds it on no variables here: its optimizer has forgotten, and cannot go on.
    for mine, reference in zip(inside.optimizer.variables, judge.optimizer.variables, strict=True):
        np.testing.assert_array_equal(mine, reference)
    assert int(ours.optimizer.iterations) == int(model.optimizer.iterations) == 1
    inside.trainable = True
    inside.fit(X, Y, verbose=0)
    assert int(inside.optimizer.iterations) == 3


def test_without_compiling_nothing_inside_is_compiled(tmp_path: Any) -> None:
    adversarial(talweg, trained=False).save(tmp_path / "model.keras")
    model = talweg.saving.load_model(tmp_path / "model.keras", compile=False)
    assert not model.compiled
    assert not model.get_layer("judge").compiled
    again = talweg.models.model_from_json(adversarial(talweg, trained=False).to_json())
    assert again.get_layer("judge").compiled
