"""find_learning_rate: the numbers of training alone, a rate that trains, a model left alone."""

import copy
import random as python_random

import numpy as np
import pytest

import talweg
from talweg import cli, optimizers, schedules, utils
from talweg.core import random
from talweg.core.errors import MissingExtraError, NonFiniteError
from talweg.layers import BatchNormalization, Dense, Dropout
from talweg.search import learning_rate
from talweg.search.gradient_noise import estimate, measure
from talweg.search.rate_result import smooth

ROWS = 90


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(ROWS, 5)).astype("float32")
    return x, (x @ np.array([1.0, -2.0, 0.5, 0.0, 1.0]) > 0).astype("float32")


def build(optimizer="adam", metrics=("accuracy",)):
    model = talweg.Sequential(
        [
            Dense(6, activation="relu", input_dim=5),
            BatchNormalization(),
            Dropout(0.2),
            Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer, "binary_crossentropy", metrics=list(metrics))
    return model


def linear(optimizer="sgd", units=1, inputs=5):
    model = talweg.Sequential([Dense(units, input_dim=inputs)])
    model.compile(optimizer, "mse")
    return model


RATES = [1e-3, 1e-2, 3e-2]
SMALL = {"rates": RATES, "steps": 12, "seeds": 2, "batch_size": 16, "verbose": 0}


def find(model, *data, **arguments):
    return talweg.find_learning_rate(model, *data, **{**SMALL, **arguments})


def everything(model):
    """All arrays of a model, and what its attributes are."""
    variables = [*model.variables, *model.metrics_variables]
    if model.optimizer.built:
        variables += model.optimizer.variables
    arrays = [v.numpy() for v in variables]
    return arrays, {k: id(v) for k, v in vars(model).items()}, set(model._prepared)


def seeds():
    return (
        python_random.getstate(),
        np.random.get_state()[1].tolist(),
        copy.deepcopy(random._Stream.generator.bit_generator.state),
    )


@pytest.mark.sampled
@pytest.mark.parametrize("fitted", [True, False])
def test_the_model_is_left_bit_for_bit_as_it_was(problem, fitted):
    utils.set_random_seed(4)
    model, twin = build(), build()
    twin.set_weights(model.get_weights())
    for cell, other in zip(twin.variables, model.variables, strict=True):
        cell.assign(other.value)
    if fitted:
        for each in (model, twin):
            utils.set_random_seed(5)
            each.fit(*problem, epochs=1, verbose=0)
    before, generators = everything(model), seeds()
    rate = float(model.optimizer.rate)
    find(model, *problem, gradient_noise=fitted)
    after = everything(model)
    for one, other in zip(before[0], after[0], strict=True):
        np.testing.assert_array_equal(one, other)
    assert before[1:] == after[1:]
    assert seeds() == generators
    assert float(model.optimizer.rate) == rate
    assert model.optimizer.built is fitted
    histories = []
    for each in (model, twin):
        utils.set_random_seed(6)
        histories.append(each.fit(*problem, epochs=2, verbose=0).history)
    assert histories[0] == histories[1]


def test_an_unbuilt_model_stays_unbuilt_and_gets_the_weights_it_would_have_got(problem):
    def deferred():
        utils.set_random_seed(8)
        model = talweg.Sequential([Dense(4, activation="relu"), Dense(1, activation="sigmoid")])
        model.compile("sgd", "binary_crossentropy")
        return model

    plain = deferred().fit(*problem, verbose=0).history
    searched = deferred()
    result = find(searched, *problem)
    assert not searched.weights
    assert searched.fit(*problem, verbose=0).history == plain
    batch = next(orders(0, 1))
    plain = deferred()
    random.draw_seed()  # as fit does
    plain.build((None, 5))
    first = plain.test_on_batch(problem[0][batch], problem[1][batch])
    np.testing.assert_allclose(result.losses[:, 0, 0], first, rtol=1e-5)


def orders(seed, steps, size=16, rows=ROWS, base=0):
    """The batches of the probes with one batch order."""
    done, number = 0, 0
    while done < steps:
        order = random.host_generator(base, seed, number).permutation(rows)
        for start in range(0, rows - size + 1, size):
            if done < steps:
                yield order[start : start + size]
                done += 1
        number += 1


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("optimizer", "fitted", "place"),
    [
        ("adam", False, (2, 0)),
        ("adam", True, (0, 1)),
        (optimizers.ScheduleFreeSGD(0.1), True, (2, 1)),
    ],
)
def test_a_probe_has_the_numbers_of_training_alone(problem, optimizer, fitted, place):
    x, y = problem
    utils.set_random_seed(2)
    model = build(optimizer)
    if fitted:
        model.fit(x, y, epochs=2, verbose=0)
    result = find(model, x, y)
    number, seed = place
    model.optimizer.learning_rate = float(result.rates[number])
    alone = [model.train_on_batch(x[b], y[b])[0] for b in orders(seed, SMALL["steps"])]
    np.testing.assert_allclose(result.losses[number, seed], alone, rtol=2e-5)


def test_the_control_is_the_loss_of_the_weights_as_they_are(problem):
    x, y = problem
    model = linear()
    result = find(model, x, y[:, None])
    alone = [model.test_on_batch(x[b], y[b, None]) for b in orders(1, SMALL["steps"])]
    np.testing.assert_allclose(result.control[1], alone, rtol=1e-5)


def test_gradient_descent_on_a_quadratic_has_its_edge_at_two_over_the_largest_curvature():
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(64, 4)) * [1.0, 0.7, 0.5, 2.0]).astype("float32")
    y = x @ rng.normal(size=(4, 1)).astype("float32") + 1
    design = np.c_[x, np.ones(64)]
    curvature = np.linalg.eigvalsh(2 * design.T @ design / 64)[-1]
    model = linear(inputs=4)
    rates = np.geomspace(1e-3, 10, 33)
    result = find(model, x, y, rates=rates, batch_size=64, steps=200)
    spacing = rates[1] / rates[0]
    assert 2 / curvature < result.edge < 2 / curvature * spacing**1.5
    assert result.suggestion <= result.edge / 2
    assert result.suggestion > 0.1 / curvature
    model.optimizer.learning_rate = result.suggestion
    model.fit(x, y, epochs=500, batch_size=64, verbose=0)
    assert model.evaluate(x, y, verbose=0) < 1e-4 * result.control.mean()


@pytest.mark.sampled
@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_the_suggestion_trains_nearly_as_well_as_the_best_of_a_grid(name):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(512, 6)).astype("float32")
    y = (np.sin(x[:, :1]) + x[:, 1:2] * x[:, 2:3]).astype("float32")

    def network():
        return talweg.Sequential([Dense(32, activation="relu", input_dim=6), Dense(1)])

    model = network()
    model.compile(name, "mse")
    result = talweg.find_learning_rate(model, x, y, verbose=0)
    assert result.low <= result.suggestion <= result.high
    low, high = type(model.optimizer).hypers["learning_rate"].search
    grid = [*np.geomspace(low, high, 7), result.suggestion]
    compared = talweg.compare(
        network, x, y, optimizers=[name], learning_rates=grid, folds=2, epochs=12, loss="mse",
        verbose=0,
    )  # fmt: skip
    loss = {key[1]: np.nan_to_num(c["loss"][:, -1], nan=np.inf).mean()
            for key, c in compared.curves().items()}  # fmt: skip
    assert loss[result.suggestion] < 2 * min(loss.values())
    assert sum(value < loss[result.suggestion] for value in loss.values()) <= 2


def test_what_diverges_is_marked_and_leaves_the_others_alone(problem):
    x, y = problem[0], 100 * problem[0][:, :1]
    model = linear()
    rates = [1e-3, 1e-2, 1e4, 1e6]
    result = find(model, x, y, rates=rates, steps=30)
    assert result.diverged.tolist() == [[False] * 2] * 2 + [[True] * 2] * 2
    assert np.isnan(result.losses[3, 0, -1])
    assert result.edge == 1e4
    assert result.suggestion == pytest.approx(0.005)
    assert "0.005" in str(result)
    assert "from 1e+04 on the loss diverges" in repr(result)
    alone = find(model, x, y, rates=rates[:2], steps=30)
    np.testing.assert_allclose(alone.losses, result.losses[:2], rtol=1e-5)
    frame = result.to_frame()
    assert frame["diverged"].tolist() == [0, 0, 2, 2]
    assert frame["change"][1] < 0
    assert frame["loss"].isna().tolist() == [False, False, True, True]


def test_no_rate_and_no_edge_are_said(problem):
    x, y = problem[0], 100 * problem[0][:, :1]
    hopeless = find(linear(), x, y, rates=[10.0, 1e3], steps=30)
    assert np.isnan(hopeless.suggestion)
    assert np.isnan(hopeless.low)
    assert hopeless.edge == 10.0
    assert "No rate from 10 to 1e+03 lowered the loss" in str(hopeless)
    timid = find(linear(), x, y, rates=[1e-4, 1e-3])
    assert timid.edge is None
    assert "the largest tried, 0.001, was the best" in str(timid)


@pytest.mark.battery
def test_splitting_the_population_changes_no_number(problem):
    model = build()
    whole, parts = (find(model, *problem, memory=m) for m in (2**30, 40_000))
    np.testing.assert_allclose(parts.losses, whole.losses, rtol=1e-5)


def test_the_seed_decides_the_orders(problem):
    model, data = linear(), (problem[0], problem[1][:, None])
    one, same, other = (find(model, *data, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.losses, same.losses)
    assert not np.allclose(one.losses, other.losses)
    assert not np.allclose(one.losses[0, 0], one.losses[0, 1])


# -- optimizers ------------------------------------------------------------------------


def test_a_schedule_is_left_out(problem):
    follows = linear(optimizers.SGD(schedules.ExponentialDecay(0.5, 1, 0.1)))
    constant = linear()
    constant.set_weights(follows.get_weights())
    results = [find(m, problem[0], problem[1][:, None]) for m in (follows, constant)]
    np.testing.assert_allclose(results[0].losses, results[1].losses, rtol=1e-6)
    assert results[0].current is None
    assert results[1].current == pytest.approx(0.01)


def test_another_optimizer_may_be_asked_about(problem):
    model, data = linear(), (problem[0], problem[1][:, None])
    by_name = find(model, *data, optimizer="rmsprop")
    by_object = find(model, *data, optimizer=optimizers.RMSprop(0.3))
    np.testing.assert_array_equal(by_name.losses, by_object.losses)
    assert by_object.current == pytest.approx(0.3)
    assert "RMSprop" in str(by_name)
    assert isinstance(model.optimizer, optimizers.SGD)


def test_the_grid_is_the_range_that_the_class_declares(problem):
    result = find(linear(), problem[0], problem[1][:, None], rates=None)
    low, high = optimizers.SGD.hypers["learning_rate"].search
    assert len(result.rates) == 24
    assert (result.rates[0], result.rates[-1]) == pytest.approx((low, high))


class ManyRates(optimizers.SGD):
    """As optimizers with rates of their own in parts of the model are seen."""

    free_rate = property(lambda self: "rate_multiplier")


def test_an_optimizer_of_several_rates_is_asked_for_multiples(problem):
    model = linear(ManyRates(0.05))
    result = find(model, problem[0], problem[1][:, None], rates=[0.5, 1.0, 2.0])
    assert result.what == "rate multiplier"
    assert result.current == 1.0
    assert find(model, problem[0], problem[1][:, None], rates=None).rates[-1] == 100
    model.optimizer.rate_multiplier = 2.0
    x, y = problem
    alone = [model.train_on_batch(x[b], y[b, None]) for b in orders(0, SMALL["steps"])]
    np.testing.assert_allclose(result.losses[2, 0], alone, rtol=2e-5)


# -- data and models -------------------------------------------------------------------


class TwoInputs(talweg.Model):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = Dense(4), Dense(4), Dense(3, activation="softmax")

    def call(self, inputs):
        return self.head(self.first(inputs["a"]) + self.second(inputs["b"]))


def test_inputs_may_be_a_dict_and_targets_classes(problem):
    x, _ = problem
    y = (np.arange(ROWS) % 3).astype("int32")
    model = TwoInputs()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    result = find(model, {"a": x[:, :2], "b": x[:, 2:]}, y)
    assert result.losses.shape == (3, 2, 12)
    assert np.log(3) / 2 < result.control.mean() < 2 * np.log(3)
    with pytest.raises(ValueError, match="3"):
        find(model, {"a": x[:, :2], "b": x[:, 2:]}, y + 5)


def test_weights_of_rows_and_classes_count(problem):
    x, y = problem
    model = linear()
    y = y[:, None]
    weight = np.where(y[:, 0] > 0, 3.0, 1.0).astype("float32")
    plain, by_row, by_class = (
        find(model, x, y, **more).losses
        for more in ({}, {"sample_weight": weight}, {"class_weight": {0: 1.0, 1: 3.0}})
    )
    np.testing.assert_allclose(by_row, by_class, rtol=1e-6)
    assert not np.allclose(plain, by_row)


class OwnStep(talweg.Model):
    def __init__(self):
        super().__init__()
        self.head = Dense(1)

    def call(self, x):
        return self.head(x)

    def train_step(self, state, data):
        logs, state = super().train_step(state, data)
        return {"loss": 2 * logs["loss"]}, state


def test_a_step_of_the_users_own_is_run(problem):
    x, y = problem[0], problem[1][:, None]
    own, plain = OwnStep(), linear()
    own.compile("sgd", "mse", metrics=["mae"])
    own(x)
    plain.set_weights(own.get_weights())
    results = [find(model, x, y) for model in (own, plain)]
    np.testing.assert_allclose(results[0].losses, 2 * results[1].losses, rtol=1e-5)


def test_fewer_rows_than_a_batch_are_one_batch(problem):
    x, y = problem
    assert find(linear(), x[:7], y[:7, None]).setup["batch_size"] == 7


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"steps": 0}, ValueError, "steps"),
        ({"seeds": 1.5}, ValueError, "seeds"),
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"rates": []}, ValueError, "rates"),
        ({"rates": [0.1, 0.1]}, ValueError, "different"),
        ({"rates": [-1.0]}, ValueError, "learning_rate"),
        ({"optimizer": "adma"}, ValueError, "Did you mean"),
    ],
)
def test_what_cannot_be_meant_is_refused(problem, arguments, error, words):
    with pytest.raises(error, match=words):
        find(build(), *problem, **arguments)


def test_streams_bare_models_and_bad_data_are_refused(problem):
    x, y = problem
    with pytest.raises(TypeError, match="Collect some batches"):
        find(build(), ((x, y) for _ in range(3)))
    with pytest.raises(ValueError, match="compiled"):
        find(talweg.Sequential([Dense(1, input_dim=5)]), x, y)
    with pytest.raises(NonFiniteError, match="weights as they are"):
        find(build(), np.where(np.arange(ROWS)[:, None] == 3, np.nan, x), y, rates=[0.1])


# -- what is shown ---------------------------------------------------------------------


def test_a_line_or_a_bar_is_shown_only_if_it_takes_long(problem, capsys, monkeypatch):
    monkeypatch.setattr(learning_rate, "PATIENCE", 1e9)
    data = problem[0], problem[1][:, None]
    find(linear(), *data, verbose="auto")
    assert not capsys.readouterr().out
    monkeypatch.setattr(learning_rate, "PATIENCE", 1e-9)
    find(linear(), *data, verbose="auto")
    assert "SGD: done after" in capsys.readouterr().out
    find(linear(), *data, verbose=0)
    assert not capsys.readouterr().out


def test_the_picture_shows_suggestion_edge_and_divergence(problem, tmp_path):
    x, y = problem[0], 100 * problem[0][:, :1]
    result = find(linear(), x, y, rates=[1e-3, 1e-2, 1e4], steps=30)
    figure = result.plot(tmp_path / "rates.png")
    assert (tmp_path / "rates.png").stat().st_size > 10_000
    told = [text.get_text() for text in figure.legends[0].get_texts()]
    assert any("suggestion 0.005" in text for text in told)
    assert any("too high" in text for text in told)
    assert "diverged" in told
    find(linear(), x, y, rates=[1e4], steps=1, seeds=1).plot(tmp_path / "least.svg")


def test_without_matplotlib_the_install_command_is_named(problem, monkeypatch):
    result = find(linear(), problem[0], problem[1][:, None], rates=[1e-3])

    def lacking(name):
        raise ImportError(name)

    monkeypatch.setattr("talweg.core.errors.importlib.import_module", lacking)
    with pytest.raises(MissingExtraError, match=r"pip install 'talweg\[data\]'"):
        result.plot()


def test_smoothing_is_an_average_without_initial_bias():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(2, 3, 50))
    got = smooth(values)
    momentum = 1 - 10 / 50
    for step in (0, 1, 7, 49):
        weights = momentum ** np.arange(step, -1, -1.0)
        expected = (values[..., : step + 1] * weights).sum(-1) / weights.sum()
        np.testing.assert_allclose(got[..., step], expected)
    np.testing.assert_array_equal(smooth(values[..., :5]), values[..., :5])


# -- the noise of the gradients --------------------------------------------------------


def test_the_noise_scale_is_that_of_the_rows_gradients():
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(960, 3)).astype("float32") * [1.0, 2.0, 3.0] + [1.0, 0.0, -1.0]
    trace = rows.var(axis=0, ddof=1).sum()
    squared = (rows.mean(axis=0) ** 2).sum() - trace / 960  # the unbiased estimate of |G|²

    def gradient(params, fixed, batch):
        return [batch.mean(axis=0)], fixed  # each row's gradient is the row

    seeds = 200
    order = np.array([rng.permutation(960) for _ in range(seeds)], np.int32)
    params = [np.zeros((seeds, 3), np.float32)]
    noise = measure(gradient, params, [np.zeros(seeds)], rows.astype("float32"), order, 16)
    assert noise.rows == 960
    assert noise.trace == pytest.approx(trace, rel=0.03)
    assert noise.squared_norm == pytest.approx(squared, rel=0.03)
    assert noise.scale == pytest.approx(trace / squared, rel=0.05)
    assert noise.low < noise.scale < noise.high


def test_the_ratio_is_infinite_where_noise_hides_the_gradient():
    hidden = estimate(np.array([10.0]), np.array([0.5]), size=1, rows=10)
    assert hidden.scale == np.inf
    assert "hides" in str(hidden)


def test_the_batch_size_is_asked_for(problem):
    x, y = problem
    without = find(build(), x, y)
    assert without.noise is None
    assert without.batch_size is None
    result = find(build(), x, y, gradient_noise=True)
    assert result.noise.steps == SMALL["steps"]
    assert result.noise.low <= result.noise.high
    if np.isfinite(result.noise.scale):
        assert np.log2(result.batch_size) == int(np.log2(result.batch_size))
    assert "noise" in str(result)


# -- the command -----------------------------------------------------------------------


@pytest.mark.sampled
@pytest.mark.parametrize("target", ["income", "weight"])
def test_a_table_is_asked_about_from_the_command_line(tmp_path, capsys, target):
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    age = rng.integers(18, 80, 120)
    table = pandas.DataFrame({"age": age, "job": rng.choice(["clerk", "smith", None], 120)})
    table[target] = np.where(age > 45, "high", "low") if target == "income" else age * 1000.5
    path, picture = tmp_path / "people.csv", tmp_path / "rates.png"
    table.to_csv(path, index=False)
    options = ["--target", target, "--optimizer", "sgd", "--steps", "10", "--seeds", "2", "--quiet"]
    assert cli.main(["find-rate", str(path), *options, "--plot", str(picture)]) == 0
    out = capsys.readouterr().out
    assert "Use a learning rate of" in out
    assert "lowest" in out
    assert picture.exists()
    assert cli.main(["find-rate", str(path), *options, "--plot", "/no/such/p.png"]) == 1
    assert "--plot" in capsys.readouterr().err
