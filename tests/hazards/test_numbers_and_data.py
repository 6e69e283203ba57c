"""What must be refused or survived: numbers and data, through `fit`, `evaluate`, `predict`."""

import warnings
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import talweg
from talweg import callbacks, layers, optimizers

ROWS = 40
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, 4)).astype("float32")
Y = X[:, :1].copy()
CLASSES = np.arange(ROWS) % 3
BINARY = np.arange(ROWS) % 2


def model(loss: Any = "mse", units: int = 1, activation: Any = None, rate: float = 0.01) -> Any:
    made = talweg.Sequential([layers.Dense(units, activation=activation, input_dim=4)])
    made.compile(optimizers.SGD(rate), loss)
    return made


def refused(
    expected: str, x: Any, y: Any, made: Any = None, kind: Any = ValueError, **arguments: Any
) -> None:
    """`fit` raises `kind` with a message that matches, and the weights are untouched."""
    made = made or model()
    before = made.get_weights()
    with pytest.raises(kind, match=expected):
        made.fit(x, y, **{"verbose": 0, **arguments})
    for weight, old in zip(made.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)


# -- targets -----------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["mse", "mae", "huber", talweg.losses.MeanSquaredError()])
def test_targets_that_would_broadcast_are_refused(loss: Any) -> None:
    refused(r"\(40, 3\), got \(40, 1\)", X, Y, model(loss, units=3))
    refused(r"\(40, 1\), got \(40, 3\)", X, np.repeat(Y, 3, axis=1), model(loss))
    with pytest.raises(ValueError, match="shape"):
        model(loss, units=3).evaluate(X, Y, verbose=0)
    with pytest.raises(ValueError, match="shape"):
        model(loss, units=3).train_on_batch(X, Y)


def test_flat_targets_fit_a_column_of_predictions() -> None:
    one, other = model(), model()
    other.set_weights(one.get_weights())
    one.fit(X, Y, shuffle=False, verbose=0)
    other.fit(X, Y[:, 0], shuffle=False, verbose=0)
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("label", [7, 3, -1])
def test_labels_out_of_range_are_refused_with_their_row(label: int) -> None:
    y = CLASSES.copy()
    y[17] = label
    loss = "sparse_categorical_crossentropy"
    refused(rf"row 17 .*0 … 2.* got {label}", X, y, model(loss, 3, "softmax"))
    with pytest.raises(ValueError, match="row 17"):
        model(loss, 3, "softmax").evaluate(X, y, verbose=0)
    refused("row 17", X, CLASSES, model(loss, 3, "softmax"), validation_data=(X, y))


def test_fractional_labels_are_refused() -> None:
    y = CLASSES.astype("float32")
    y[3] = 0.7
    loss = "sparse_categorical_crossentropy"
    refused(r"row 3 must be an integer label, got 0\.69+", X, y, model(loss, 3, "softmax"))
    y[3] = 0.0
    model(loss, 3, "softmax").fit(X, y, verbose=0)


@pytest.mark.parametrize("shift", [1, -1])
def test_binary_labels_must_be_0_and_1(shift: int) -> None:
    y = BINARY + 1 if shift == 1 else BINARY * 2 - 1
    refused("in \\[0, 1\\]", X, y, model("binary_crossentropy", 1, "sigmoid"))


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("loss", "units", "y"),
    [
        ("binary_crossentropy", 1, BINARY),
        ("sparse_categorical_crossentropy", 3, CLASSES),
        ("categorical_crossentropy", 3, np.eye(3, dtype="float32")[CLASSES]),
    ],
)
def test_a_linear_head_under_crossentropy_gets_a_hint(loss: str, units: int, y: Any) -> None:
    with pytest.warns(UserWarning, match="from_logits=True"):
        model(loss, units).fit(X, y, verbose=0)
    head = {
        "binary_crossentropy": talweg.losses.BinaryCrossentropy,
        "sparse_categorical_crossentropy": talweg.losses.SparseCategoricalCrossentropy,
        "categorical_crossentropy": talweg.losses.CategoricalCrossentropy,
    }[loss]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model(loss, units, "sigmoid" if units == 1 else "softmax").fit(X, y, verbose=0)
        model(head(from_logits=True), units).fit(X, y, verbose=0)


@pytest.mark.parametrize("hinted", [True, False])
def test_the_hint_comes_where_nothing_follows_the_head(hinted: bool) -> None:
    class Own(talweg.Sequential):
        pass

    class Squashed(talweg.Sequential):
        def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
            return talweg.ops.sigmoid(super().call(inputs, training))

    made = (Own if hinted else Squashed)([talweg.Input((X.shape[1],)), layers.Dense(1)])
    made.compile("sgd", "binary_crossentropy")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        made.fit(X, BINARY, verbose=0)
    assert ["from_logits=True" in str(w.message) for w in told] == [True] * hinted


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_target_that_is_not_finite_is_refused_with_its_row(value: float) -> None:
    y = Y.copy()
    y[23] = value
    refused("y holds (NaN|infinity) at row 23", X, y, kind=talweg.NonFiniteError)


# -- numbers of the optimizer ------------------------------------------------------------


@pytest.mark.parametrize("rate", [-0.01, np.nan, np.inf, 1e30])
def test_impossible_rates_are_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="learning_rate must be in"):
        optimizers.Adam(rate)
    made = model()
    for assign in (
        lambda: setattr(made.optimizer, "learning_rate", rate),
        lambda: talweg.backend.set_value(made.optimizer.learning_rate, rate),
    ):
        with pytest.raises(ValueError, match="learning_rate must be in"):
            assign()
    assert made.optimizer.rate == pytest.approx(0.01)


def test_a_rate_of_zero_warns() -> None:
    with pytest.warns(UserWarning, match="learning_rate is 0"):
        optimizers.SGD(0.0)


@pytest.mark.parametrize(
    "arguments",
    [
        {"beta_1": 1.5},
        {"beta_1": -1},
        {"beta_2": 1.0},
        {"clipnorm": -1.0},
        {"clipvalue": np.nan},
        {"weight_decay": -1.0},
        {"epsilon": -1e-7},
    ],
    ids=str,
)
def test_impossible_hyperparameters_are_refused(arguments: dict[str, float]) -> None:
    name = next(iter(arguments))
    with pytest.raises(ValueError, match=f"Adam: {name} must be"):
        optimizers.Adam(**arguments)


# -- callbacks and NaN -------------------------------------------------------------------


class Spoil(callbacks.Callback):
    """Makes val_loss NaN in the epochs listed."""

    def __init__(self, *epochs: int) -> None:
        super().__init__()
        self.epochs = epochs

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if epoch in self.epochs:
            logs["val_loss"] = float("nan")


def test_nan_is_never_the_best_epoch() -> None:
    made = model()
    stop = callbacks.EarlyStopping("val_loss", patience=3, restore_best_weights=True)
    with pytest.warns(UserWarning, match="NaN is no improvement"):
        made.fit(X, Y, epochs=5, verbose=0, validation_split=0.2, callbacks=[Spoil(0), stop])
    assert stop.best is not None
    assert np.isfinite(stop.best)
    assert stop.best_epoch > 0


def test_nan_does_not_lower_the_rate() -> None:
    made = model(rate=0.05)
    plateau = callbacks.ReduceLROnPlateau("val_loss", factor=0.1, patience=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made.fit(
            X, Y, epochs=6, verbose=0, validation_split=0.2,
            callbacks=[Spoil(1, 2, 3, 4), plateau],
        )  # fmt: skip
    assert made.optimizer.rate == pytest.approx(0.05)


# -- what computes, and what does not ----------------------------------------------------


@pytest.mark.parametrize("what", ["x", "y"])
@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_integers_beyond_32_bits_are_refused(what: str, dtype: str) -> None:
    big = np.zeros((ROWS, 4), dtype)
    big[9, 1] = 2**31
    if what == "x":
        refused("x: row 9 must be within 32-bit integers, got .*2147483648", big, Y)
    else:
        refused("y: row 9 must be within 32-bit integers", X, big[:, 1:2])
    ok = np.full((ROWS, 4), 2**31 - 1, dtype)
    model().predict(ok, verbose=0)


@pytest.mark.parametrize("index", [7, 5, -1])
def test_indices_that_an_embedding_lacks_are_refused_with_their_row(index: int) -> None:
    made = talweg.Sequential([layers.Embedding(5, 2), layers.Flatten(), layers.Dense(1)])
    made.compile("sgd", "mse")
    x = np.arange(20).reshape(10, 2) % 5
    made.fit(x, Y[:10], verbose=0)
    x[6, 1] = index
    refused(rf"in \[0, 5\), got {index} in row 6", x, Y[:10], made)
    for call in (
        lambda: made.evaluate(x, Y[:10], verbose=0),
        lambda: made.predict(x, verbose=0),
        lambda: made.predict_on_batch(x),
        lambda: made.train_on_batch(x, Y[:10]),
    ):
        with pytest.raises(ValueError, match=rf"got {index} in row 6"):
            call()


def test_a_model_may_give_its_first_embedding_a_part_of_the_columns() -> None:
    class Ratings(talweg.Model):
        def __init__(self) -> None:
            super().__init__()
            self.users = layers.Embedding(3, 2)
            self.movies = layers.Embedding(20, 2)

        def call(self, inputs: Any) -> Any:
            return (self.users(inputs[:, 0]) * self.movies(inputs[:, 1])).sum(-1, keepdims=True)

    made = Ratings()
    made.compile("sgd", "mse")
    x = np.stack([np.arange(10) % 3, np.arange(10) + 10], axis=1)
    assert np.isfinite(made.fit(x, Y[:10], verbose=0).history["loss"]).all()
    x[6, 0] = 3
    refused(r"in \[0, 3\), got 3 in row", x, Y[:10], made)


@pytest.mark.parametrize("index", [7, -1])
def test_an_embedding_deep_inside_a_model_is_diagnosed_too(index: int) -> None:
    class Deep(talweg.Model):
        def __init__(self) -> None:
            super().__init__()
            self.numbers = layers.Dense(2)
            self.words = layers.Embedding(5, 2)
            self.head = layers.Dense(1)

        def call(self, inputs: Any) -> Any:
            return self.head(self.numbers(inputs["number"]) + self.words(inputs["word"]))

    made = Deep()
    made.compile("sgd", "mse")
    words = np.arange(ROWS) % 5
    x = {"number": X, "word": words}
    made.fit(x, Y, verbose=0)
    words[18] = index
    expected = rf"In batch 2: .* in \[0, 5\), got {index} in row 2"
    for call in (
        lambda: made.fit(x, Y, batch_size=8, shuffle=False, verbose=0),
        lambda: made.evaluate(x, Y, batch_size=8, verbose=0),
    ):
        with pytest.raises(ValueError, match=expected):
            call()
    with pytest.raises(ValueError, match=f"got {index} in row 18"):
        made.predict(x, batch_size=8, verbose=0)
    assert all(np.isfinite(w).all() for w in made.get_weights())


@pytest.mark.parametrize("empty", [X[:0], X[:0].tolist(), pd.DataFrame(X[:0])])
def test_empty_data_is_refused(empty: Any) -> None:
    made = model()
    for call in (
        lambda: made.fit(empty, Y[:0], verbose=0),
        lambda: made.evaluate(empty, Y[:0], verbose=0),
        lambda: made.predict(empty, verbose=0),
        lambda: made.train_on_batch(empty, Y[:0]),
        lambda: made.predict_on_batch(empty),
        lambda: made.fit(X, Y, validation_data=(empty, Y[:0]), verbose=0),
    ):
        with pytest.raises(ValueError, match="empty"):
            call()


def test_an_empty_stream_is_refused() -> None:
    made = model()
    for call in (made.fit, made.evaluate, made.predict):
        with pytest.raises(ValueError, match="The data is empty"):
            call(iter([]), verbose=0)


@pytest.mark.parametrize("size", [0, -1, 16.0, True, "8"])
def test_impossible_batch_sizes_are_refused(size: Any) -> None:
    made = model()
    for name, call in (
        ("fit", lambda: made.fit(X, Y, batch_size=size, verbose=0)),
        ("evaluate", lambda: made.evaluate(X, Y, batch_size=size, verbose=0)),
        ("predict", lambda: made.predict(X, batch_size=size, verbose=0)),
    ):
        with pytest.raises(ValueError, match=f"{name}: batch_size must be a positive integer"):
            call()


@pytest.mark.parametrize(
    "arguments",
    [
        {"epochs": -1},
        {"epochs": 1.5},
        {"epochs": True},
        {"initial_epoch": -1},
        {"steps_per_epoch": 0},
        {"validation_split": 1.0},
        {"validation_split": -0.1},
        {"validation_freq": 0, "validation_split": 0.2},
        {"validation_data": (X, Y, None, None)},
        {"shuffle": "yes"},
        {"verbose": 7},
    ],
    ids=str,
)
def test_impossible_arguments_of_fit_are_refused(arguments: dict[str, Any]) -> None:
    refused("must be", X, Y, **arguments)


def test_data_without_targets_is_refused_before_training_where_a_loss_needs_them() -> None:
    refused("no y came", X, Y, validation_data=(X,))
    made = model("mse")
    made.fit(X, Y, verbose=0)
    with pytest.raises(ValueError, match="no y came"):
        made.evaluate(X, verbose=0)


def test_a_split_must_leave_rows_on_both_sides() -> None:
    refused("rows on both sides", X[:1], Y[:1], validation_split=0.5)


def test_a_batch_larger_than_the_data_works() -> None:
    made = model()
    made.fit(X, Y, batch_size=10_000, verbose=0)
    assert int(made.optimizer.iterations) == 1
    assert made.predict(X, batch_size=10_000, verbose=0).shape == (ROWS, 1)


def test_x_and_y_of_different_lengths_are_refused() -> None:
    refused("x has 40 rows, y has 39 rows", X, Y[:-1])
    refused("x has 40 rows.*sample_weight has 3", X, Y, sample_weight=np.ones(3))
    with pytest.raises(ValueError, match="of equal length"):
        model().fit([X, X[:-1]], Y, verbose=0)


def test_inputs_of_another_width_are_refused() -> None:
    refused(r"of shape \(None, 4\), got \(\d+, 3\)|axis -1", X[:, :3], Y)
    with pytest.raises(ValueError, match="4"):
        model().predict(X[:, :3], verbose=0)


# -- weights -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (np.where(np.arange(ROWS) == 5, -1.0, 1.0), "row 5 must be a finite number"),
        (np.where(np.arange(ROWS) == 5, np.nan, 1.0), "row 5 must be a finite number"),
        (np.where(np.arange(ROWS) == 5, np.inf, 1.0), "row 5 must be a finite number"),
        (np.zeros(ROWS), "0 for every row"),
    ],
)
def test_impossible_sample_weights_are_refused(weights: Any, expected: str) -> None:
    refused(f"sample_weight.*{expected}", X, Y, sample_weight=weights)


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ({0: 1.0, 1: 1.0, 3: 1.0}, "for classes 0 to 2, got 3"),
        ({-1: 1.0, 0: 1.0}, "for classes 0 to 2, got -1"),
        ({"a": 1.0}, "whole class numbers"),
        ({0: -1.0}, "finite number of at least 0"),
        ({0: np.nan}, "finite number of at least 0"),
    ],
)
def test_impossible_class_weights_are_refused(weights: Any, expected: str) -> None:
    made = model("sparse_categorical_crossentropy", 3, "softmax")
    refused(expected, X, CLASSES, made, class_weight=weights)


def test_class_weights_of_a_binary_model_know_two_classes() -> None:
    made = model("binary_crossentropy", 1, "sigmoid")
    refused("for classes 0 to 1, got 2", X, BINARY, made, class_weight={0: 1.0, 2: 3.0})
    made.fit(X, BINARY, class_weight={0: 1.0, 1: 3.0}, verbose=0)
    refused("a dict", X, BINARY, made, kind=TypeError, class_weight=[1.0, 3.0])


def test_a_class_without_a_weight_warns_once() -> None:
    made = model("sparse_categorical_crossentropy", 3, "softmax")
    with pytest.warns(UserWarning, match="no weight for class 1, 2") as record:
        made.fit(X, CLASSES, class_weight={0: 2.0}, epochs=2, verbose=0)
    assert len(record) == 1


# -- tables ------------------------------------------------------------------------------

TABLE = pd.DataFrame(X, columns=["a", "b", "c", "d"])


def test_columns_are_matched_by_name() -> None:
    made = model()
    made.fit(TABLE, Y, verbose=0)
    expected = made.predict(TABLE, verbose=0)
    shuffled = TABLE[["d", "b", "a", "c"]]
    np.testing.assert_array_equal(made.predict(shuffled, verbose=0), expected)
    assert made.evaluate(shuffled, Y, verbose=0) == made.evaluate(TABLE, Y, verbose=0)
    with pytest.raises(ValueError, match="lacks column 'c'"):
        made.predict(TABLE[["a", "b", "d"]], verbose=0)


def test_validation_columns_are_matched_by_name() -> None:
    made = model()
    history = made.fit(TABLE, Y, verbose=0, validation_data=(TABLE[["d", "c", "b", "a"]], Y))
    assert history.history["val_loss"][0] == pytest.approx(made.evaluate(TABLE, Y, verbose=0))


def test_tables_with_different_labels_are_refused() -> None:
    y = pd.Series(Y[:, 0], index=np.arange(ROWS)[::-1])
    refused("different row labels", TABLE, y)
    refused("different row labels", TABLE, pd.DataFrame(Y, index=range(5, 5 + ROWS)))
    refused("sample_weight", TABLE, Y, sample_weight=pd.Series(np.ones(ROWS), index=y.index))
    model().fit(TABLE, y.to_numpy(), verbose=0)
    model().fit(TABLE, y.loc[TABLE.index], verbose=0)


BAD_COLUMNS = {
    "object": (pd.Series(["u", "v"] * 20), "object.*get_dummies|str.*get_dummies"),
    "numbers as objects": (pd.Series([1.0] * ROWS, dtype=object), "astype"),
    "category": (pd.Series(["u", "v"] * 20, dtype="category"), "cat.codes"),
    "nullable": (pd.Series([1, None] * 20, dtype="Int64"), "Fill its 20 missing values"),
    "nullable float": (pd.Series([1.0] * ROWS, dtype="Float32"), "astype"),
    "datetime": (pd.Series(pd.date_range("2020-01-01", periods=ROWS)), "days since"),
    "string": (pd.Series(["u"] * ROWS, dtype="string"), "get_dummies"),
}


@pytest.mark.parametrize("kind", BAD_COLUMNS)
def test_a_column_that_is_no_number_is_named(kind: str) -> None:
    column, remedy = BAD_COLUMNS[kind]
    table = TABLE.assign(c=column)
    refused(f"column 'c' must be numeric.*({remedy})", table, Y, kind=TypeError)
    refused(f"y: the column must be numeric.*({remedy})", TABLE, column, kind=TypeError)


@pytest.mark.parametrize(
    "x",
    [
        np.array([["a", "b", "c", "d"]] * ROWS),
        np.array([["a", 1, None, 2.0]] * ROWS, dtype=object),
        np.zeros((ROWS, 4), "datetime64[s]"),
        X + 1j,
        jnp.asarray(X + 1j),
        np.ma.masked_greater(X, 1.0),
    ],
    ids=["strings", "objects", "dates", "complex", "complex on the device", "masked"],
)
def test_arrays_that_are_no_numbers_are_explained(x: Any) -> None:
    refused("x: the data must be (numeric|real|a plain array)", x, Y, kind=TypeError)


def test_ragged_lists_are_explained() -> None:
    refused("rectangular", [[1.0, 2.0], [3.0]], Y[:2])


def test_sparse_matrices_are_explained() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    refused("toarray", sparse.csr_matrix(X), Y, kind=TypeError)


ORIGINAL = np.arange(ROWS * 8, dtype="float64").reshape(ROWS, 8) / 100


@pytest.mark.sampled(count=4)
@pytest.mark.parametrize(
    "view",
    [
        ORIGINAL[:, ::2],
        ORIGINAL[:, 7:3:-1],
        np.asfortranarray(ORIGINAL[:, :4]),
        ORIGINAL[::-1, :4],
        ORIGINAL[:, :4].astype(">f8"),
        ORIGINAL[:, :4].astype(">f4"),
        ORIGINAL[:, :4].astype("float16"),
        ORIGINAL[:, :4].astype("longdouble"),
        np.lib.stride_tricks.sliding_window_view(ORIGINAL[:, 0], 4),
        pd.DataFrame(ORIGINAL[:, :4]),
        ORIGINAL[:, :4].tolist(),
        (ORIGINAL[:, :4] > 1.0),
        (ORIGINAL[:, :4] * 100).astype(">i4"),
    ],
    ids=["strided", "negative columns", "Fortran", "negative rows", "big-endian double",
         "big-endian float", "half", "long double", "overlapping", "table", "list", "bool",
         "big-endian integer"],
)  # fmt: skip
def test_every_layout_of_numbers_gives_the_same_result(view: Any) -> None:
    plain = np.ascontiguousarray(np.asarray(view).astype("float32"))
    made = model()
    np.testing.assert_allclose(
        made.predict(view, verbose=0), made.predict(plain, verbose=0), rtol=1e-6
    )
    other = model()
    other.set_weights(made.get_weights())
    made.compile(optimizers.SGD(1e-6), "mse")
    other.compile(optimizers.SGD(1e-6), "mse")
    made.fit(view, Y[: len(plain)], shuffle=False, verbose=0)
    other.fit(plain, Y[: len(plain)], shuffle=False, verbose=0)
    for a, b in zip(made.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_unscaled_images_get_a_hint() -> None:
    images = RNG.integers(0, 256, size=(ROWS, 4), dtype=np.uint8)
    with pytest.warns(UserWarning, match="Divide by 255"):
        model(rate=1e-9).fit(images, Y, verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scaled = talweg.Sequential([layers.Rescaling(1 / 255, input_shape=(4,)), layers.Dense(1)])
        scaled.compile("sgd", "mse")
        scaled.fit(images, Y, verbose=0)
        model(rate=1e-9).fit(images // 100, Y, verbose=0)


# -- streams -----------------------------------------------------------------------------


def test_a_stream_is_checked_batch_by_batch() -> None:
    def batches(y: Any) -> Any:
        for _ in range(20):
            yield X[:8], CLASSES[:8]
        yield X[:8], y

    loss = "sparse_categorical_crossentropy"
    bad = CLASSES[:8].copy()
    bad[2] = 9
    with pytest.raises(ValueError, match=r"row 2 .*got 9"):
        model(loss, 3, "softmax").fit(batches(bad), verbose=0)
    with pytest.raises(TypeError, match="numeric"):
        model(loss, 3, "softmax").fit(batches(np.array(["a"] * 8)), verbose=0)


def test_y_beside_a_stream_is_refused() -> None:
    refused("y must be part of the batches", iter([(X, Y)]), Y)


def test_a_split_of_a_stream_is_refused() -> None:
    refused("validation_data instead", iter([(X, Y)]), None, kind=TypeError, validation_split=0.2)


# -- before compile, and names -----------------------------------------------------------


def test_an_uncompiled_model_says_so() -> None:
    made = talweg.Sequential([layers.Dense(1)])
    for name in ("fit", "evaluate", "train_on_batch", "test_on_batch"):
        with pytest.raises(ValueError, match=rf"compiled before {name}\(\)"):
            getattr(made, name)(X, Y)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"optimizer": "adma"}, "Did you mean 'adam'"),
        ({"steps_per_execution": 0}, "positive integer"),
    ],
)
def test_compile_refuses_unknown_things(arguments: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        model().compile(**arguments)


@pytest.mark.parametrize("argument", ["loss", "metrics"])
def test_unknown_losses_and_metrics_are_named(argument: str) -> None:
    made = talweg.Sequential([layers.Dense(1)])
    wrong = {"loss": "mse", argument: "mze" if argument == "loss" else ["acuracy"]}
    made.compile("sgd", **wrong)
    with pytest.raises(ValueError, match=r"Unknown (loss|metric) '(mze|acuracy)'"):
        made.fit(X, Y, verbose=0)
