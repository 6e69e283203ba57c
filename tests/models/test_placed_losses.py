"""Losses over structures of outputs, and a `compute_loss` that makes its own, as in Keras."""

from typing import Any

import jax
import keras
import numpy as np
import pytest

import talweg
from models.twins import assert_same_history

# Keras's own arrays trip over NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

X = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
A, B, C = X[:, :1], X[:, 1:2] * 2, X[:, 2:] - 1
TARGETS = {
    "one": A,
    "list": [A, B],
    "dict": {"a": A, "b": B},
    "dicts": {"p": A, "q": {"r": B, "s": C}},
    "lists": [A, [B, C]],
    "mixed": [A, {"r": B, "s": C}],
}


def model_of(k: Any, kind: str, **compiled: Any) -> Any:
    x = k.Input((3,))
    outputs = [
        k.layers.Dense(1, kernel_initializer=kernel, name=name)(x)
        for name, kernel in (("a", "ones"), ("b", "zeros"), ("c", "ones"))
    ]
    leaves, structure = jax.tree.flatten(TARGETS[kind])
    model = k.Model(x, jax.tree.unflatten(structure, outputs[: len(leaves)]))
    model.compile("sgd", **compiled)
    return model


def all_of(y_true: Any, y_pred: Any) -> Any:
    """A loss of every output that it is given."""
    pairs = zip(jax.tree.leaves(y_true), jax.tree.leaves(y_pred), strict=True)
    return sum(((t - p) ** 2).mean(-1) for t, p in pairs)


def first_of(y_true: Any, y_pred: Any) -> Any:
    return abs(y_true["r"] - y_pred["r"] + y_pred["s"]).mean(-1)


CASES = [
    ("dicts", {"loss": {"p": "mse", "q": first_of}, "loss_weights": {"p": 1.0, "q": 0.3}}),
    ("dict", {"loss": [all_of, {"b": "mae"}]}),
    ("dicts", {"loss": [all_of, {"p": "mse", "q": {"r": "mae"}}],
               "loss_weights": [1.0, {"p": 0.5, "q": {"r": 0.2}}]}),
    ("mixed", {"loss": ["mse", [all_of, {"r": "mae"}]]}),
    ("list", {"loss": {"b": "mse", "a": "mae"}}),
    ("dict", {"loss": [all_of]}),
    ("dict", {"loss": [{"a": "mae"}, {"b": "mse"}]}),
    ("dict", {"loss": {"b": "mse", "a": None}}),
    ("dict", {"loss": ["mse", "mae"], "loss_weights": [0.5, 1.0]}),
    ("dicts", {"loss": {"q": {"s": "mae"}}}),
    ("dicts", {"loss": {"p": "mse", "q": ["mae", "mse"]}}),
    ("dicts", {"loss": ["mse", "mae", "mse"]}),
    ("dicts", {"loss": {"q": {"s": "mae", "r": "mse"}, "p": "mae"}}),
    ("lists", {"loss": ["mse", "mae", "mse"]}),
    ("lists", {"loss": [None, ["mae", None]]}),
    ("lists", {"loss": [None, all_of]}),
    ("mixed", {"loss": [None, {"r": "mae"}]}),
    ("one", {"loss": {"a": "mse"}, "loss_weights": {"a": 0.5}}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        pytest.param(*case, marks=pytest.mark.battery if i > 4 else ())
        for i, case in enumerate(CASES)
    ],
)
def test_losses_stand_where_keras_has_them(kind: str, given: dict[str, Any]) -> None:
    found = []
    for k in (talweg, keras):
        model = model_of(k, kind, **given)
        named = model.evaluate(X, TARGETS[kind], verbose=0, return_dict=True)
        found.append((named, model.evaluate(X, TARGETS[kind], verbose=0)))
    (ours, listed), (theirs, reference) = found
    assert ours == pytest.approx(theirs, rel=1e-5)
    np.testing.assert_allclose(listed, reference, rtol=1e-5)


def test_several_losses_of_one_output_are_logged_apart() -> None:
    """Keras adds them too, but logs one number for both."""
    losses = {"a": ["mse", "mae"], "b": "mae"}
    ours, theirs = (model_of(k, "dict", loss=losses) for k in (talweg, keras))
    logs = ours.evaluate(X, TARGETS["dict"], verbose=0, return_dict=True)
    assert logs["loss"] == pytest.approx(logs["a_loss"] + logs["a_loss_1"] + logs["b_loss"])
    assert logs["loss"] == pytest.approx(theirs.evaluate(X, TARGETS["dict"], verbose=0)[0])


def test_of_several_losses_for_the_only_output_the_first_counts() -> None:
    """As in Keras, which says nothing."""
    model = model_of(talweg, "one", loss=["mse", "mae"], loss_weights=[0.5, 1.0])
    with pytest.warns(UserWarning, match="only the first counts"):
        found = model.evaluate(X, A, verbose=0)
    assert found == pytest.approx(0.5 * np.mean((X.sum(1, keepdims=True) - A) ** 2), rel=1e-5)


@pytest.mark.parametrize(("kind", "loss", "message"), [
    ("dicts", {"p": "mse", "q": "mae"}, "one for each of .*'r'.*'s'"),
    ("lists", ["mse", "mae"], "one for each of"),
    ("dicts", {"q": {"t": "mae"}}, "Unknown output in loss 't'"),
    ("lists", ["mse", ["mae"]], "in the structure"),
    ("list", ["mse"], "in the structure"),
    ("lists", {"a": "mse"}, "in the structure"),
])  # fmt: skip
def test_losses_that_have_no_place_are_refused(kind: str, loss: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model_of(talweg, kind, loss=loss).evaluate(X, TARGETS[kind], verbose=0)


def test_loss_weights_have_the_structure_of_the_losses() -> None:
    model = model_of(talweg, "dict", loss=[all_of, all_of, all_of], loss_weights=[1.0])
    with pytest.raises(ValueError, match="loss_weights must be in the structure of the losses"):
        model.evaluate(X, TARGETS["dict"], verbose=0)


# -- compute_loss --------------------------------------------------------------------------

Y = X[:, :2] * 0.5
PARTS = {"u": Y[:, :1], "v": Y[:, 1:]}


def split(array: Any) -> dict[str, Any]:
    return {"u": array[:, :1], "v": array[:, 1:]}


# What an own compute_loss hands to the usual one, of (y, y_pred), and what compile is given.
HANDED: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "one output as a dict": (
        lambda y, p: (split(y), split(p)), Y,
        {"loss": {"u": "mse", "v": "mae"}, "loss_weights": {"u": 1.0, "v": 0.5},
         "metrics": ["mae"]},
    ),
    "targets as a dict": (lambda y, p: (y, split(p)), PARTS, {"loss": {"v": "mse", "u": "mae"}}),
    "one output as a list": (
        lambda y, p: ([y[:, :1], y[:, 1:]], [p[:, :1], p[:, 1:]]), Y, {"loss": ["mse", "mae"]},
    ),
    "another shape": (
        lambda y, p: (y[:, :1] * 2, p.sum(-1, keepdims=True)), Y,
        {"loss": "mse", "metrics": ["mae"]},
    ),
}  # fmt: skip


def splitting(k: Any, handed: Any, eagerly: bool = False, **compiled: Any) -> Any:
    class Net(k.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = k.layers.Dense(2, kernel_initializer="ones")

        def call(self, x: Any) -> Any:
            return self.dense(x)

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):  # type: ignore[no-untyped-def]
            y, y_pred = handed(y, y_pred)
            return super().compute_loss(x, y, y_pred, sample_weight, training)

    model = Net()
    model.compile(k.optimizers.SGD(0.1), run_eagerly=eagerly, **compiled)
    return model


@pytest.mark.sampled(count=2)
@pytest.mark.parametrize("case", HANDED)
def test_an_own_loss_hands_on_what_it_likes(case: str) -> None:
    handed, y, compiled = HANDED[case]
    options = {"batch_size": 4, "epochs": 2, "shuffle": False, "verbose": 0}
    ours, theirs = (splitting(k, handed, **compiled) for k in (talweg, keras))
    assert_same_history(ours.fit(X, y, **options), theirs.fit(X, y, **options))
    np.testing.assert_allclose(
        ours.evaluate(X, y, verbose=0), theirs.evaluate(X, y, verbose=0), rtol=1e-5
    )


def test_an_own_loss_may_look_at_values_where_nothing_is_compiled() -> None:
    def looking(y: Any, p: Any) -> Any:
        return (split(y), split(p)) if float(p[0, 0]) < 1e9 else (y, p)

    _, y, compiled = HANDED["one output as a dict"]
    model = splitting(talweg, looking, eagerly=True, **compiled)
    logs = model.evaluate(X, y, verbose=0, return_dict=True)
    assert logs["loss"] == pytest.approx(logs["u_loss"] + 0.5 * logs["v_loss"])


def test_targets_are_checked_where_an_own_loss_leaves_them_alone() -> None:
    gaps = np.where(Y > 0.5, np.nan, Y)
    with pytest.raises(ValueError, match="NaN"):
        splitting(talweg, lambda y, p: (y, p), loss="mse").evaluate(X, gaps, verbose=0)

    def without_gaps(y: Any, p: Any) -> Any:
        known = y == y
        return jax.numpy.where(known, y, 0.0), jax.numpy.where(known, p, 0.0)

    model = splitting(talweg, without_gaps, loss="mse")
    before = model.evaluate(X, gaps, verbose=0)
    model.fit(X, gaps, epochs=3, verbose=0)
    assert model.evaluate(X, gaps, verbose=0) < before
