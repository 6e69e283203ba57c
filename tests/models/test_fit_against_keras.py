"""fit, evaluate, predict and the single-batch methods against Keras on JAX."""

import warnings
from typing import Any

import keras
import numpy as np
import pytest

import talweg
from models.twins import (
    Twins,
    assert_same_events,
    assert_same_history,
    assert_same_weights,
    despite_the_race,
    labels,
    numbers,
    recorder,
    twins,
)

# Keras's own arrays trip over NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def regression(k: Any) -> Any:
    model = k.Sequential(
        [k.layers.Input((4,)), k.layers.Dense(5, activation="tanh"), k.layers.Dense(1)]
    )
    model.compile(
        k.optimizers.SGD(0.01, momentum=0.9), "mse", metrics=["mae"], weighted_metrics=["mse"]
    )
    return model


def classification(k: Any) -> Any:
    model = k.Sequential(
        [
            k.layers.Input((4,)),
            k.layers.Dense(5, activation="relu"),
            k.layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(
        k.optimizers.SGD(0.05),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        weighted_metrics=["accuracy"],
    )
    return model


X, Y = numbers()
VX, VY = numbers(20, seed=1)
W = np.linspace(0.1, 2.0, len(X)).astype("float32")

ARGUMENTS: dict[str, dict[str, Any]] = {
    "defaults": {"epochs": 2},
    "a ragged last batch": {"batch_size": 10, "epochs": 3},
    "batches of one row": {"batch_size": 1},
    "one batch": {"batch_size": 100, "epochs": 2},
    "validation split": {"validation_split": 0.3, "epochs": 2, "batch_size": 8},
    "validation pair": {"validation_data": (VX, VY), "epochs": 2},
    "validation list": {"validation_data": [VX, VY], "epochs": 1},
    "validation weights": {"validation_data": (VX, VY, W[:20]), "epochs": 2},
    "validation data wins over split": {"validation_data": (VX, VY), "validation_split": 0.5},
    "validation batch size": {"validation_data": (VX, VY), "validation_batch_size": 7},
    "validation steps": {"validation_data": (VX, VY), "validation_steps": 1, "batch_size": 8,
                         "epochs": 2},
    "validation every other epoch": {"validation_data": (VX, VY), "validation_freq": 2,
                                     "epochs": 5},
    "validation after listed epochs": {"validation_data": (VX, VY), "validation_freq": [1, 4],
                                       "epochs": 4},
    "sample weight": {"sample_weight": W, "epochs": 2, "batch_size": 8},
    "sample weight and split": {"sample_weight": W, "validation_split": 0.2, "epochs": 2},
    "initial epoch": {"initial_epoch": 2, "epochs": 4},
    "no epoch left": {"initial_epoch": 4, "epochs": 4},
    "steps per epoch": {"steps_per_epoch": 2, "batch_size": 8, "epochs": 3},
    "steps per epoch without batch size": {"steps_per_epoch": 4, "epochs": 2},
    "verbose 1": {"verbose": 1, "epochs": 2},
    "verbose 2": {"verbose": 2, "epochs": 2},
}  # fmt: skip


@pytest.fixture(scope="module")
def regressors() -> Any:
    """One pair for the whole matrix, put back to its first state for each case."""
    pair = twins(regression)
    pair.keras.optimizer.build(pair.keras.trainable_variables)
    pair.talweg.optimizer.build(pair.talweg.trainable_variables)
    start = pair.keras.get_weights()
    states = [v.numpy() for v in pair.keras.optimizer.variables]

    def fresh() -> Twins:
        for model in pair:
            model.set_weights(start)
            for variable, value in zip(model.optimizer.variables, states, strict=True):
                variable.assign(value)
        return pair

    return fresh


@pytest.mark.sampled(count=5)
@pytest.mark.parametrize("case", ARGUMENTS)
def test_fit_arguments_give_keras_history_weights_and_hooks(
    regressors: Any, case: str, capsys: Any
) -> None:
    pair = regressors()
    arguments = {"verbose": 0, **ARGUMENTS[case]}
    histories, recorders = [], []
    for k, model in pair.each():
        record = recorder(k)
        histories.append(model.fit(X, Y, shuffle=False, callbacks=[record], **arguments))
        recorders.append(record)
    theirs, ours = histories
    assert_same_history(ours, theirs)
    assert_same_events(recorders[1], recorders[0])
    assert_same_weights(pair)
    if ours.history:
        assert ours.history["learning_rate"] == pytest.approx([0.01] * len(ours.epoch))


def test_without_batch_hooks_fit_gives_the_same_as_with_them(regressors: Any) -> None:
    pair = regressors()
    arguments = {"epochs": 3, "batch_size": 5, "validation_split": 0.2, "verbose": 0}
    histories = [model.fit(X, Y, shuffle=False, **arguments) for model in pair]
    assert_same_history(histories[1], histories[0])
    assert_same_weights(pair)


@pytest.mark.parametrize("epochs", [1, 4])
def test_arrays_that_run_out_before_steps_per_epoch_warn_and_start_over(
    regressors: Any, epochs: int
) -> None:
    pair = regressors()
    histories = []
    for model in pair:
        with pytest.warns(UserWarning, match="ran out of data"):
            histories.append(
                model.fit(X, Y, batch_size=10, steps_per_epoch=4 if epochs > 1 else 9,
                          epochs=epochs, shuffle=False, verbose=0)
            )  # fmt: skip
    assert_same_history(histories[1], histories[0])
    assert_same_weights(pair)


OPTIMIZERS: dict[str, Any] = {
    "SGD": lambda k: k.optimizers.SGD(0.05),
    "SGD momentum": lambda k: k.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "RMSprop": lambda k: k.optimizers.RMSprop(0.01, momentum=0.5, centered=True),
    "Adam": lambda k: k.optimizers.Adam(0.01, amsgrad=True),
    "Adagrad": lambda k: k.optimizers.Adagrad(0.05),
    "Nadam": lambda k: k.optimizers.Nadam(0.01),
    "a schedule": lambda k: k.optimizers.SGD(
        k.optimizers.schedules.ExponentialDecay(0.1, 5, 0.9)
    ),
    "clipping and decay": lambda k: k.optimizers.Adam(0.01, weight_decay=0.01, clipnorm=0.1),
    "averaging": lambda k: k.optimizers.SGD(0.05, use_ema=True, ema_momentum=0.8),
    "accumulation": lambda k: k.optimizers.SGD(0.05, gradient_accumulation_steps=2),
    "loss scale": lambda k: k.optimizers.SGD(0.05, loss_scale_factor=64.0),
}  # fmt: skip


@pytest.mark.sampled
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_reach_keras_weights(name: str) -> None:
    def build(k: Any) -> Any:
        model = classification(k)
        model.compile(OPTIMIZERS[name](k), "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    x, y = labels()
    pair = twins(build)
    histories = [m.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0) for m in pair]
    assert_same_history(histories[1], histories[0])
    assert_same_weights(pair)


@pytest.mark.sampled
@pytest.mark.parametrize("one_hot", [False, True])
def test_class_weights_count_as_in_keras(one_hot: bool) -> None:
    def build(k: Any) -> Any:
        model = classification(k)
        kind = "categorical_crossentropy" if one_hot else "sparse_categorical_crossentropy"
        model.compile("sgd", kind, metrics=["accuracy"], weighted_metrics=["accuracy"])
        return model

    x, y = labels()
    if one_hot:
        y = np.eye(3, dtype="float32")[y]
    pair = twins(build)
    histories = [
        m.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0, validation_split=0.2,
              class_weight={0: 1.0, 1: 5.0, 2: 0.1})
        for m in pair
    ]  # fmt: skip
    assert_same_history(histories[1], histories[0])
    assert_same_weights(pair)


def test_batch_normalization_and_dropout_follow_keras() -> None:
    def build(k: Any) -> Any:
        model = k.Sequential(
            [
                k.layers.Input((4,)),
                k.layers.Dense(8),
                k.layers.BatchNormalization(momentum=0.8),
                k.layers.Activation("relu"),
                k.layers.Dropout(0.3, seed=7),
                k.layers.Dense(3),
            ]
        )
        loss = k.losses.SparseCategoricalCrossentropy(from_logits=True)
        # Not Adam: it blows up the rounding in the gradient of the bias, which is 0 here.
        model.compile(k.optimizers.SGD(0.05, momentum=0.9), loss, metrics=["accuracy"])
        return model

    x, y = labels()
    pair = twins(build)
    histories = [
        m.fit(x, y, batch_size=10, epochs=3, shuffle=False, verbose=0, validation_split=0.2)
        for m in pair
    ]
    assert_same_history(histories[1], histories[0], rtol=1e-4)
    assert_same_weights(pair, rtol=1e-4, atol=1e-6)
    for mine, reference in zip(
        *(m.predict(x, batch_size=10, verbose=0) for m in pair), strict=True
    ):
        np.testing.assert_allclose(mine, reference, rtol=1e-4, atol=1e-5)


@despite_the_race
def test_regularizers_constraints_and_activity_enter_as_in_keras() -> None:
    def build(k: Any) -> Any:
        model = k.Sequential(
            [
                k.layers.Input((4,)),
                k.layers.Dense(
                    6,
                    kernel_regularizer=k.regularizers.L1L2(1e-3, 1e-2),
                    bias_regularizer="l2",
                    activity_regularizer=k.regularizers.L2(1e-2),
                    kernel_constraint=k.constraints.MaxNorm(0.5),
                ),
                k.layers.Dense(1, kernel_constraint="non_neg"),
            ]
        )
        model.compile(k.optimizers.SGD(0.05), "mse", metrics=["mae"])
        return model

    pair = twins(build)
    histories = [
        m.fit(X, Y, batch_size=10, epochs=3, shuffle=False, verbose=0, validation_split=0.2)
        for m in pair
    ]
    assert_same_history(histories[1], histories[0])
    assert_same_weights(pair)
    assert np.linalg.norm(pair.talweg.get_weights()[0], axis=0).max() <= 0.5 + 1e-6
    results = [m.evaluate(X, Y, verbose=0) for m in pair]
    np.testing.assert_allclose(results[1], results[0], rtol=1e-5)


# -- evaluate, predict, single batches ---------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [{}, {"batch_size": 7}, {"sample_weight": W}, {"steps": 2, "batch_size": 7},
     {"return_dict": True}],
    ids=lambda arguments: "-".join(arguments) or "defaults",
)  # fmt: skip
def test_evaluate_agrees_with_keras(regressors: Any, arguments: dict[str, Any]) -> None:
    pair = regressors()
    recorders, results = [], []
    for k, model in pair.each():
        recorders.append(recorder(k))
        results.append(model.evaluate(X, Y, verbose=0, callbacks=[recorders[-1]], **arguments))
    theirs, ours = results
    if arguments.get("return_dict"):
        assert list(ours) == list(theirs)
        ours, theirs = list(ours.values()), list(theirs.values())
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    assert_same_events(recorders[1], recorders[0])


@pytest.mark.parametrize(
    "arguments", [{}, {"batch_size": 7}, {"steps": 2, "batch_size": 7}], ids=str
)
def test_predict_agrees_with_keras(regressors: Any, arguments: dict[str, Any]) -> None:
    pair = regressors()
    recorders, results = [], []
    for k, model in pair.each():
        recorders.append(recorder(k))
        results.append(model.predict(X, verbose=0, callbacks=[recorders[-1]], **arguments))
    assert isinstance(results[1], np.ndarray)
    np.testing.assert_allclose(results[1], results[0], rtol=1e-5, atol=1e-6)
    assert_same_events(recorders[1], recorders[0])


def test_single_batches_agree_with_keras(regressors: Any) -> None:
    pair = regressors()
    rounds: list[list[Any]] = []
    for model in pair:
        got: list[Any] = []
        for i in range(3):
            got.append(model.train_on_batch(X[:10], Y[:10]))
            got.append(model.train_on_batch(X[i : i + 7], Y[i : i + 7], sample_weight=W[:7]))
            got.append(model.test_on_batch(X, Y))
            got.append(model.test_on_batch(X, Y, sample_weight=W))
        rounds.append(got)
        assert isinstance(got[0], list)
    for ours, theirs in zip(rounds[1], rounds[0], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    dicts = [model.train_on_batch(X, Y, return_dict=True) for model in pair]
    assert list(dicts[1]) == list(dicts[0])
    np.testing.assert_allclose(list(dicts[1].values()), list(dicts[0].values()), rtol=1e-5)
    assert_same_weights(pair)
    batches = [model.predict_on_batch(X[:5]) for model in pair]
    assert isinstance(batches[1], np.ndarray)
    np.testing.assert_allclose(batches[1], batches[0], rtol=1e-5, atol=1e-6)


def test_single_batches_take_class_weights() -> None:
    x, y = labels()

    def build(k: Any) -> Any:
        model = k.Sequential([k.layers.Input((4,)), k.layers.Dense(3, activation="softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    pair = twins(build)
    got = [m.train_on_batch(x, y, class_weight={0: 1.0, 1: 3.0, 2: 0.5}) for m in pair]
    np.testing.assert_allclose(got[1], got[0], rtol=1e-5)
    assert_same_weights(pair)


def test_a_loss_without_metrics_is_a_scalar() -> None:
    model = regression(talweg)
    model.compile("sgd", "mse")
    assert isinstance(model.evaluate(X, Y, verbose=0), float)
    assert isinstance(model.train_on_batch(X, Y), float)


# -- callbacks in a real fit -------------------------------------------------------------


def test_a_rate_set_before_every_batch_acts_on_that_batch(regressors: Any) -> None:
    pair = regressors()
    for k, model in pair.each():

        class Rates(k.callbacks.Callback):
            def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
                self.model.optimizer.learning_rate = 0.001 * (batch + 1)

        model.fit(X, Y, batch_size=10, epochs=2, shuffle=False, verbose=0, callbacks=[Rates()])
    assert_same_weights(pair)


def test_weights_changed_in_mid_epoch_are_trained_on(regressors: Any) -> None:
    pair = regressors()
    for k, model in pair.each():

        class Halve(k.callbacks.Callback):
            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
                if batch == 2:
                    self.model.set_weights([w / 2 for w in self.model.get_weights()])

        model.fit(X, Y, batch_size=10, epochs=2, shuffle=False, verbose=0, callbacks=[Halve()])
    assert_same_weights(pair)


def test_stopping_in_mid_epoch_ends_where_keras_ends(regressors: Any) -> None:
    pair = regressors()
    histories, recorders = [], []
    for k, model in pair.each():

        class Stop(k.callbacks.Callback):
            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
                if batch == 3:
                    self.model.stop_training = True

        recorders.append(recorder(k))
        histories.append(
            model.fit(X, Y, batch_size=10, epochs=5, shuffle=False, verbose=0,
                      validation_data=(VX, VY), callbacks=[Stop(), recorders[-1]])
        )  # fmt: skip
    assert_same_history(histories[1], histories[0])
    assert_same_events(recorders[1], recorders[0])
    assert_same_weights(pair)


@pytest.mark.sampled
@pytest.mark.parametrize(
    "arguments",
    [
        {"patience": 1, "restore_best_weights": True},
        {"patience": 0, "restore_best_weights": True, "start_from_epoch": 2},
        {"patience": 2, "min_delta": 0.05},
        {"baseline": 0.01, "patience": 2, "restore_best_weights": True},
    ],
    ids=str,
)
def test_early_stopping_in_a_fit(regressors: Any, arguments: dict[str, Any]) -> None:
    pair = regressors()
    histories = []
    for k, model in pair.each():
        model.optimizer.learning_rate = 0.3
        stop = k.callbacks.EarlyStopping("val_loss", **arguments)
        histories.append(
            model.fit(X, Y, batch_size=10, epochs=12, shuffle=False, verbose=0,
                      validation_data=(VX, VY), callbacks=[stop])
        )  # fmt: skip
    assert_same_history(histories[1], histories[0], rtol=1e-4)
    assert_same_weights(pair, rtol=1e-4, atol=1e-6)


def test_reduce_lr_on_plateau_in_a_fit(regressors: Any) -> None:
    pair = regressors()
    histories = []
    for k, model in pair.each():
        model.optimizer.learning_rate = 0.3
        reduce = k.callbacks.ReduceLROnPlateau("val_loss", factor=0.3, patience=1, min_lr=1e-3)
        histories.append(
            model.fit(X, Y, batch_size=10, epochs=10, shuffle=False, verbose=0,
                      validation_data=(VX, VY), callbacks=[reduce])
        )  # fmt: skip
    theirs, ours = histories
    np.testing.assert_allclose(
        ours.history["learning_rate"], theirs.history["learning_rate"], rtol=1e-6
    )
    np.testing.assert_allclose(ours.history["loss"], theirs.history["loss"], rtol=1e-4)
    assert len(set(ours.history["learning_rate"])) > 2
    assert_same_weights(pair, rtol=1e-4, atol=1e-6)


def test_learning_rate_scheduler_and_lambda_callback_in_a_fit(regressors: Any) -> None:
    pair = regressors()
    seen: list[list[Any]] = [[], []]
    for i, (k, model) in enumerate(pair.each()):
        callbacks = [
            k.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5),
            k.callbacks.LambdaCallback(
                on_epoch_end=lambda epoch, logs, i=i: seen[i].append((epoch, logs["loss"]))
            ),
        ]
        model.fit(X, Y, epochs=3, shuffle=False, verbose=0, callbacks=callbacks)
    np.testing.assert_allclose(seen[1], seen[0], rtol=1e-5)
    assert_same_weights(pair)


def test_swap_ema_weights_in_a_fit() -> None:
    def build(k: Any) -> Any:
        model = k.Sequential([k.layers.Input((4,)), k.layers.Dense(1)])
        model.compile(k.optimizers.SGD(0.05, use_ema=True, ema_momentum=0.7), "mse")
        return model

    pair = twins(build)
    histories = [
        model.fit(X, Y, epochs=3, shuffle=False, verbose=0, validation_data=(VX, VY),
                  callbacks=[k.callbacks.SwapEMAWeights(swap_on_epoch=True)])
        for k, model in pair.each()
    ]  # fmt: skip
    assert_same_history(histories[1], histories[0])
    assert_same_weights(pair)


def test_fit_goes_on_where_the_last_one_ended(regressors: Any) -> None:
    pair = regressors()
    for model in pair:
        model.fit(X, Y, epochs=2, shuffle=False, verbose=0)
        model.fit(X, Y, epochs=4, initial_epoch=2, shuffle=False, verbose=0)
        assert int(model.optimizer.iterations) == 8
    assert_same_weights(pair)


def test_frozen_layers_stay_as_in_keras() -> None:
    def build(k: Any) -> Any:
        model = regression(k)
        model.layers[0].trainable = False
        model.compile(k.optimizers.SGD(0.05), "mse")
        return model

    pair = twins(build)
    frozen = pair.talweg.get_weights()[0]
    for model in pair:
        model.fit(X, Y, epochs=2, shuffle=False, verbose=0)
    np.testing.assert_array_equal(pair.talweg.get_weights()[0], frozen)
    assert_same_weights(pair)


def test_run_eagerly_reaches_the_same_weights(regressors: Any) -> None:
    pair = regressors()
    eager = regression(talweg)
    eager.set_weights(pair.talweg.get_weights())
    eager.compile(talweg.optimizers.SGD(0.01, momentum=0.9), "mse", run_eagerly=True)
    eager.fit(X[:20], Y[:20], batch_size=8, shuffle=False, verbose=0)
    pair.keras.fit(X[:20], Y[:20], batch_size=8, shuffle=False, verbose=0)
    assert_same_weights(Twins(pair.keras, eager))


def test_get_and_set_weights_keep_keras_order() -> None:
    def build(k: Any) -> Any:
        return k.Sequential(
            [k.layers.Input((4,)), k.layers.Dense(3), k.layers.BatchNormalization(),
             k.layers.Embedding(5, 2)]
        )  # fmt: skip

    reference, model = build(keras), build(talweg)
    shapes = [[w.shape for w in m.get_weights()] for m in (reference, model)]
    assert shapes[0] == shapes[1]
    values = [np.random.default_rng(i).normal(size=s) for i, s in enumerate(shapes[0])]
    model.set_weights(values)
    for mine, value in zip(model.get_weights(), values, strict=True):
        np.testing.assert_array_equal(mine, value.astype("float32"))
    with pytest.raises(ValueError, match="a list of 7 arrays"):
        model.set_weights(values[:-1])
    with pytest.raises(ValueError, match="of shape"):
        model.set_weights([v.T for v in values])


def test_no_warning_escapes_a_plain_fit() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        regression(talweg).fit(X, Y, verbose=0, validation_split=0.2)
