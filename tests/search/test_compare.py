"""compare: the same numbers as one by one, whatever is run side by side."""

import importlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold, TimeSeriesSplit
from sklearn.preprocessing import StandardScaler

import talweg
from talweg import utils
from talweg.layers import BatchNormalization, Dense, Dropout
from talweg.search.candidates import splits

ROWS = 101  # folds of 33, 34, 34 rows and ragged last batches


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(ROWS, 5)).astype("float32")
    return x, (x @ np.array([1.0, -2.0, 0.5, 0.0, 1.0]) > 0).astype("float32")


def build():
    return talweg.Sequential(
        [
            Dense(6, activation="relu", input_dim=5),
            BatchNormalization(),
            Dropout(0.2),
            Dense(1, activation="sigmoid"),
        ]
    )


def head():
    """The smallest model, where it does not matter which."""
    return talweg.Sequential([Dense(1, activation="sigmoid", input_dim=5)])


SETTINGS = {"folds": 3, "seeds": 2, "epochs": 3, "batch_size": 16, "verbose": 0}


@pytest.fixture(scope="module")
def result(problem):
    return talweg.compare(
        build, *problem, optimizers=["sgd", "adam"], learning_rates=[1e-3, 1e-1], **SETTINGS
    )


@pytest.mark.sampled
@pytest.mark.parametrize("place", [0, 4, 11, 17, 23])
def test_a_member_has_the_numbers_of_training_it_alone(problem, result, place):
    x, y = problem
    trial = result.trials[place]
    train, held = splits(y, 3, None, 0)[trial.fold]
    utils.set_random_seed(trial.random_seed)
    model = build()
    optimizer = talweg.optimizers.get(trial.optimizer)
    optimizer.learning_rate = trial.learning_rate
    model.compile(optimizer, "binary_crossentropy", metrics=["accuracy"])
    history = model.fit(
        x[train], y[train], epochs=3, batch_size=16, validation_data=(x[held], y[held]), verbose=0
    ).history
    for name, values in trial.curves.items():
        np.testing.assert_allclose(history[name], values, rtol=2e-5, atol=2e-6, err_msg=name)
    assert trial.score == pytest.approx(history["val_loss"][-1], rel=2e-5)


def test_weights_and_shuffles_depend_on_seed_and_fold_only(problem, result):
    alone = talweg.compare(build, *problem, optimizers=["adam"], learning_rates=[1e-1], **SETTINGS)
    among = [t for t in result.trials if (t.optimizer, t.learning_rate) == ("adam", 1e-1)]
    for one, other in zip(alone.trials, among, strict=True):
        assert one.random_seed == other.random_seed
        np.testing.assert_allclose(one.curves["loss"], other.curves["loss"], rtol=1e-5)


@pytest.mark.battery
def test_splitting_the_population_changes_no_number(problem, result):
    parts = talweg.compare(
        build, *problem, optimizers=["sgd", "adam"], learning_rates=[1e-3, 1e-1],
        memory=100_000, **SETTINGS,
    )  # fmt: skip
    for one, other in zip(parts.trials, result.trials, strict=True):
        np.testing.assert_allclose(one.score, other.score, rtol=1e-5)


def test_the_users_seeds_go_on_as_if_nothing_had_been(problem):
    utils.set_random_seed(5)
    expected = talweg.core.random.draw_seed(), np.random.random()
    utils.set_random_seed(5)
    talweg.compare(
        build, *problem, optimizers=["sgd"], learning_rates=[0.1], folds=2, epochs=1, verbose=0
    )
    assert (talweg.core.random.draw_seed(), np.random.random()) == expected


def test_what_diverges_is_marked_ranks_last_and_leaves_the_others_alone(problem):
    x, _ = problem
    y = 100 * x[:, :1]

    def linear():
        return talweg.Sequential([Dense(8, activation="relu", input_dim=5), Dense(1)])

    settings = {"folds": 2, "epochs": 6, "verbose": 0, "loss": "mse", "batch_size": 8}
    rates = [1e-5, 1e-4, 1e3, 1e5, 1e6, 1e7]
    mixed = talweg.compare(linear, x, y, optimizers="sgd", learning_rates=rates, **settings)
    frame = mixed.to_frame().set_index("learning_rate")
    assert frame.loc[[1e3, 1e5, 1e6, 1e7], "diverged"].tolist() == [2, 2, 2, 2]
    assert frame.loc[[1e-5, 1e-4], "diverged"].tolist() == [0, 0]
    assert frame.loc[1e5, "rank"] > frame.loc[[1e-5, 1e-4], "rank"].max()
    assert not frame.loc[1e5, "tie"]
    assert mixed.best.learning_rate == 1e-4
    good = talweg.compare(linear, x, y, optimizers="sgd", learning_rates=rates[:2], **settings)
    for trial in good.trials:
        twin = next(
            t for t in mixed.trials
            if (t.learning_rate, t.fold) == (trial.learning_rate, trial.fold)
        )  # fmt: skip
        np.testing.assert_allclose(twin.curves["val_loss"], trial.curves["val_loss"], rtol=1e-5)
    lost = next(t for t in mixed.trials if t.learning_rate == 1e7)
    assert len(lost.curves["loss"]) < 6  # it stopped costing


def test_everything_diverged_is_said(problem):
    x, _ = problem
    result = talweg.compare(
        lambda: talweg.Sequential([Dense(1, input_dim=5)]), x, 1e3 * x[:, :1],
        optimizers="sgd", learning_rates=[1e8], folds=2, epochs=6, verbose=0,
    )  # fmt: skip
    with pytest.raises(ValueError, match="diverged"):
        _ = result.best


@pytest.mark.battery
def test_labels_classes_instances_schedules_and_default_grids(problem):
    schedule = talweg.schedules.ExponentialDecay(0.1, 20, 0.5)
    result = talweg.compare(
        build, *problem, folds=2, epochs=1, verbose=0,
        optimizers={
            "nesterov": talweg.optimizers.SGD(momentum=0.9, nesterov=True),
            "decayed": talweg.optimizers.SGD(schedule),
            "class": talweg.optimizers.RMSprop,
        },
    )  # fmt: skip
    frame = result.to_frame()
    assert frame["optimizer"].value_counts().to_dict() == {"nesterov": 9, "decayed": 9, "class": 9}
    rates = sorted(frame.loc[frame["optimizer"] == "class", "learning_rate"])
    assert rates == pytest.approx(np.geomspace(1e-5, 1e-1, 9), rel=1e-3)


def test_fit_best_trains_the_best_on_all_rows(problem, result):
    x, y = problem
    model = result.fit_best(x, y)
    assert float(model.optimizer.learning_rate) == pytest.approx(result.best.learning_rate)
    assert type(model.optimizer).__name__.lower() == result.best.optimizer
    assert model.evaluate(x, y, verbose=0, return_dict=True)["accuracy"] > 0.6


def test_metrics_that_are_better_when_higher(problem):
    result = talweg.compare(
        head, *problem, optimizers="adam", learning_rates=[1e-5, 3e-2], folds=2, epochs=4,
        monitor="val_accuracy", verbose=0,
    )  # fmt: skip
    frame = result.to_frame()
    assert result.best.learning_rate == 3e-2
    assert frame["mean"].iloc[0] >= frame["mean"].iloc[1]


def test_a_compiled_model_keeps_its_loss_and_metrics(problem):
    x, _ = problem

    def compiled():
        model = talweg.Sequential([Dense(1, input_dim=5)])
        model.compile(loss="mae", metrics=["mse"])
        return model

    result = talweg.compare(
        compiled, x, x[:, :1], optimizers="sgd", learning_rates=[0.01], folds=2, epochs=1,
        monitor="val_mse", verbose=0,
    )  # fmt: skip
    assert set(result.trials[0].curves) == {"loss", "mse", "val_loss", "val_mse"}


@pytest.mark.sampled(count=2)
@pytest.mark.parametrize(
    ("target", "units", "activation", "loss"),
    [
        (lambda x: (x[:, 0] > 0).astype("int64"), 1, None, "binary_crossentropy"),
        (lambda x: np.digitize(x[:, 0], [-0.5, 0.5]), 3, "softmax", "sparse_categorical"),
        (lambda x: utils.to_categorical(x[:, 0] > 0), 2, None, "categorical_crossentropy"),
        (lambda x: x[:, 0], 1, None, "mse"),
    ],
)
def test_the_loss_of_an_uncompiled_model_fits_targets_and_head(
    problem, target, units, activation, loss
):
    x, _ = problem
    result = talweg.compare(
        lambda: talweg.Sequential([Dense(units, activation=activation, input_dim=5)]),
        x, target(x), optimizers="adam", learning_rates=[0.1], folds=2, epochs=2, verbose=0,
    )  # fmt: skip
    chosen = result.recipe.loss
    assert loss in (chosen if isinstance(chosen, str) else chosen.name)
    if not isinstance(chosen, str):
        assert chosen.get_config()["from_logits"] == (activation is None)


def test_transformers_are_fitted_on_each_folds_training_part_only(problem):
    x, y = problem
    fitted = []

    class Spy(StandardScaler):
        def fit(self, values, *rest):
            fitted.append(np.array(values))
            return super().fit(values, *rest)

    def run(values):
        fitted.clear()
        return talweg.compare(
            head, values, y, optimizers="sgd", learning_rates=[0.1], folds=KFold(2), epochs=1,
            transform=Spy, verbose=0,
        )  # fmt: skip

    run(x)
    assert [len(part) for part in fitted] == [50, 51]
    np.testing.assert_array_equal(fitted[0], x[51:])
    result = run(x * 1000 + 7)  # scaling undoes it
    np.testing.assert_allclose(result.trials[0].score, run(x).trials[0].score, rtol=1e-3)


@pytest.mark.battery
@pytest.mark.parametrize(
    ("folds", "groups"),
    [(TimeSeriesSplit(3), None), (GroupKFold(3), np.arange(ROWS) // 5), (3, np.arange(ROWS) // 5)],
)
def test_any_splitter(problem, folds, groups):
    result = talweg.compare(
        head, *problem, optimizers="sgd", learning_rates=[0.1], folds=folds, groups=groups,
        epochs=1, batch_size=8, verbose=0,
    )  # fmt: skip
    assert len(result.trials) == 3
    if groups is not None:
        for train, held in splits(problem[1], folds, groups, 0):
            assert not set(groups[train]) & set(groups[held])


@given(st.lists(st.integers(6, 40), min_size=1, max_size=5), st.integers(2, 6), st.integers(0, 9))
def test_folds_differ_by_one_row_at_most_in_all_and_in_each_class(sizes, folds, seed):
    y = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    pairs = splits(y, folds, None, seed)
    held = [part for _, part in pairs]
    assert sorted(np.concatenate(held)) == list(range(len(y)))
    for train, part in pairs:
        assert not set(train) & set(part)
        assert len(train) + len(part) == len(y)
    for label in range(len(sizes)):
        assert np.ptp([(y[part] == label).sum() for part in held]) <= 1
    assert np.ptp([len(part) for part in held]) <= 1
    sklearns = StratifiedKFold(folds, shuffle=True).split(y, y)
    assert sorted(map(len, held)) == sorted(len(part) for _, part in sklearns)


def test_one_program_per_optimizer_serves_all_epochs_rates_and_folds(problem, monkeypatch):
    made = []
    module = importlib.import_module("talweg.search.members")
    real = module.Population

    def spy(*args):
        made.append(real(*args))
        return made[-1]

    monkeypatch.setattr(module, "Population", spy)
    talweg.compare(
        build, *problem, optimizers="adam", learning_rates=[1e-3, 1e-2], folds=3, epochs=4,
        batch_size=16, verbose=0,
    )  # fmt: skip
    testing, training = made
    # 67 and 68 training rows leave last batches of 3 and 4.
    assert training.traces == {"loop": 1, "single": 2}
    # Parts of 33 and 34 rows are validated in one step, and one row more.
    assert testing.traces == {"single": 2}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimizers": ["adma"]}, "Did you mean 'adam'"),
        ({"optimizers": []}, "at least one"),
        ({"learning_rates": []}, "at least one"),
        ({"learning_rates": [-0.1]}, "learning_rate"),
        ({"learning_rates": [0.1, 0.1]}, "different"),
        ({"folds": 1}, "folds"),
        ({"folds": 1000}, "folds"),
        ({"epochs": 0}, "epochs"),
        ({"seeds": 0}, "seeds"),
        ({"batch_size": 2.5}, "batch_size"),
        ({"monitor": "val_acuracy"}, "val_accuracy"),
    ],
    ids=str,
)
def test_what_makes_no_comparison_is_refused_at_once(problem, change, message):
    settings = {"optimizers": "sgd", "learning_rates": [0.1], "folds": 2, "epochs": 1}
    with pytest.raises(ValueError, match=message):
        talweg.compare(build, *problem, verbose=0, **{**settings, **change})


def test_a_model_in_place_of_a_function_is_refused(problem):
    with pytest.raises(TypeError, match="build must be a function that returns a new model"):
        talweg.compare(build(), *problem, verbose=0)


def test_one_model_for_all_folds_is_refused(problem):
    settings = {"optimizers": "sgd", "learning_rates": [0.1], "epochs": 1, "verbose": 0}
    one = build()
    with pytest.raises(ValueError, match=r"a new model at every call, got 'the same one twice'"):
        talweg.compare(lambda: one, *problem, folds=2, **settings)


def test_a_single_rate_is_to_be_given_as_a_list(problem):
    with pytest.raises(TypeError, match="compare: learning_rates must be a list of numbers"):
        talweg.compare(build, *problem, verbose=0, learning_rates=0.1)


def test_data_that_cannot_be_meant_is_refused(problem):
    x, y = problem
    settings = {"optimizers": "sgd", "learning_rates": [0.1], "folds": 2, "epochs": 1, "verbose": 0}
    with pytest.raises(ValueError, match="rows"):
        talweg.compare(build, x[:50], y, **settings)
    with pytest.raises(ValueError, match=r"\[0, 1\]|0 and 1"):
        talweg.compare(build, x, y + 1, loss="binary_crossentropy", **settings)
    with pytest.raises(TypeError, match="a model"):
        talweg.compare(lambda: None, x, y, **settings)
    with pytest.raises(ValueError, match="rarest"):
        talweg.compare(build, x, (np.arange(ROWS) == 0).astype("int32"), **settings)


def test_the_report_is_one_file_with_the_pictures_in_it(result, tmp_path):
    path = result.report(tmp_path / "report.html", title="Two <optimizers>")
    text = path.read_text()
    assert "Two &lt;optimizers&gt;" in text
    assert "<svg" in text or "data:image" in text
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert result.advice().split(":")[0][:20] in text


def test_progress_without_a_terminal_is_a_line_per_optimizer(problem, capsys):
    talweg.compare(
        head, *problem, optimizers=["sgd", "adam"], learning_rates=[0.1], folds=2, epochs=1
    )
    lines = capsys.readouterr().out.splitlines()
    assert sorted(line.split(":")[0] for line in lines) == ["adam", "sgd"]


def test_an_error_in_one_optimizer_reaches_the_user(problem, monkeypatch):
    def broken(self, state, data, *_):
        raise RuntimeError("out of luck")

    monkeypatch.setattr(talweg.training.population.Population, "run", broken)
    with pytest.raises(RuntimeError, match="out of luck"):
        talweg.compare(build, *problem, folds=2, epochs=1, verbose=0)


def test_convolutions_are_compared_one_by_one_with_the_same_numbers():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(24, 6, 6, 1)).astype("float32")
    y = (x[:, 0, 0, 0] > 0).astype("int32")

    def small():
        return talweg.Sequential(
            [
                talweg.Input((6, 6, 1)),
                talweg.layers.Conv2D(2, 3, activation="relu"),
                talweg.layers.Flatten(),
                Dense(2, activation="softmax"),
            ]
        )

    result = talweg.compare(
        small, x, y, optimizers="sgd", learning_rates=[0.01, 0.1], folds=2, epochs=2,
        batch_size=4, verbose=0,
    )  # fmt: skip
    trial = result.trials[-1]
    train, held = splits(y, 2, None, 0)[trial.fold]
    utils.set_random_seed(trial.random_seed)
    model = small()
    model.compile(talweg.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    history = model.fit(
        x[train], y[train], epochs=2, batch_size=4, validation_data=(x[held], y[held]), verbose=0
    ).history
    np.testing.assert_allclose(history["val_loss"], trial.curves["val_loss"], rtol=2e-5)


def test_phases_that_count_epochs_are_refused(problem):
    phases = talweg.optimizers.Phases([("sgd", 1), ("adam", None)])
    with pytest.raises(ValueError, match="counted in epochs"):
        talweg.compare(build, *problem, optimizers={"phases": phases}, verbose=0)


@pytest.mark.battery
def test_optimizers_with_parts_are_compared_by_multiples(problem):
    parts = talweg.optimizers.ByPath({"*bias": 0.5}, default=talweg.optimizers.Adam(1e-2))
    result = talweg.compare(
        build, *problem, optimizers={"parts": parts}, folds=2, epochs=1, verbose=0
    )
    rates = sorted({trial.learning_rate for trial in result.trials})
    assert rates == pytest.approx(np.geomspace(1e-2, 1e2, 9), rel=1e-3)
    assert result.fit_best(*problem).optimizer.rate_multiplier == result.best.learning_rate
