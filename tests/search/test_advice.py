"""advise: each rule speaks where it must, and is silent where the evidence is thin."""

import dataclasses
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import talweg
from talweg.callbacks import History
from talweg.layers import Dense
from talweg.search.comparison import Comparison, Recipe, Trial
from talweg.search.curve_rules import RULES, Curves, median3, noise_of
from talweg.search.gradient_noise import GradientNoise
from talweg.search.rate_result import RateResult

EPOCHS = np.arange(1, 31.0)
NOISE = np.random.default_rng(0).normal(size=30)
DECAY = np.exp(-EPOCHS / 6)  # a healthy descent to a floor that its scale adds


def rules(**curves):
    logs = {"learning_rate" if k == "rate" else k: list(v) for k, v in curves.items()}
    return [advice.rule for advice in talweg.advise(logs)]


HEALTHY = 0.3 * DECAY + 0.05 * np.exp(-EPOCHS / 15)

SPEAKS = {
    "rate too high, diverged": ({"loss": [2.0, 3.0, np.nan]}, "rate too high"),
    "rate too high, at once": ({"loss": [np.inf, np.nan]}, "rate too high"),
    "rate too high, rises": ({"loss": np.r_[DECAY[:10], np.linspace(0.2, 2, 20)]}, "rate too high"),
    "rate too high, from the start": ({"loss": np.linspace(1, 3, 12)}, "rate too high"),
    "rate too high, jumps": ({"loss": 1 + 0.3 * np.cos(np.pi * EPOCHS) + 0.05 * NOISE},
                             "rate too high"),
    "rate too low, a line": ({"loss": 2 - 0.02 * EPOCHS}, "rate too low"),
    "rate too low, a noisy line": ({"loss": 2 - 0.03 * EPOCHS + 0.005 * NOISE}, "rate too low"),
    "rate too low, validated": ({"loss": 2 - 0.02 * EPOCHS, "val_loss": 2.1 - 0.02 * EPOCHS},
                                "rate too low"),
    "overfitting": ({"loss": DECAY, "val_loss": DECAY + 0.03 * EPOCHS}, "overfitting"),
    "overfitting, noisy": ({"loss": DECAY + 0.002 * NOISE,
                            "val_loss": DECAY + 0.03 * EPOCHS + 0.02 * NOISE}, "overfitting"),
    "overfitting, validated at times": ({"loss": DECAY,
                                         "val_loss": (DECAY + 0.03 * EPOCHS)[2::3]}, "overfitting"),
    "plateau": ({"loss": 0.5 + np.exp(-EPOCHS / 2)}, "plateau"),
    "plateau, noisy": ({"loss": 0.5 + np.exp(-EPOCHS / 2) + 0.002 * NOISE}, "plateau"),
    "plateau, constant rate": ({"loss": 0.5 + np.exp(-EPOCHS / 2), "rate": np.full(30, 0.1)},
                               "plateau"),
    "no progress": ({"loss": 0.693 + 0.001 * NOISE}, "no progress"),
    "no progress, exactly": ({"loss": np.full(6, 2.302)}, "no progress"),
    "noise": ({"loss": 0.2 + DECAY, "val_loss": 0.4 + DECAY + 0.08 * NOISE}, "noise"),
}  # fmt: skip

SILENT = {
    "healthy": {"loss": HEALTHY, "val_loss": HEALTHY + 0.01},
    "healthy, with noise": {"loss": HEALTHY * (1 + 0.01 * NOISE),
                            "val_loss": HEALTHY * (1 + 0.01 * NOISE[::-1])},
    "three epochs": {"loss": [1.0, 0.9, 0.8], "val_loss": [1.0, 1.1, 1.2]},
    "one epoch": {"loss": [1.0]},
    "none": {"loss": []},
    "a plateau at nothing": {"loss": np.maximum(np.exp(-EPOCHS), 1e-6)},
    "a plateau after the rate has decayed": {"loss": 0.5 + np.exp(-EPOCHS / 2),
                                             "rate": np.geomspace(0.1, 1e-4, 30)},
    "validation that ends a little above its best": {
        "loss": HEALTHY, "val_loss": HEALTHY + 0.1 + 0.0001 * EPOCHS},
    "one jump of the validation at the end": {
        "loss": HEALTHY, "val_loss": np.r_[HEALTHY[:-1] + 0.01, 0.6]},
    "one jump of the training": {"loss": np.r_[HEALTHY[:12], 0.5, HEALTHY[13:]]},
    "jitter at nothing": {"loss": np.maximum(np.exp(-EPOCHS), 1e-7 * (1 + 0.5 * NOISE))},
}  # fmt: skip


@pytest.mark.parametrize("name", SPEAKS)
def test_a_rule_speaks(name):
    curves, rule = SPEAKS[name]
    assert rules(**curves) == [rule]


@pytest.mark.parametrize("name", SILENT)
def test_nothing_is_said(name):
    assert not rules(**SILENT[name])


@pytest.mark.parametrize("factor", [1e-6, 1e6])
@pytest.mark.parametrize("name", SPEAKS)
def test_the_scale_of_the_loss_does_not_matter(name, factor):
    curves, rule = SPEAKS[name]
    scaled = {k: factor * np.asarray(v) if "loss" in k else v for k, v in curves.items()}
    assert rules(**scaled) == [rule]


def test_both_sides_of_every_rule_are_tried():
    spoken = {rule for _, rule in SPEAKS.values()}
    assert spoken == {
        "rate too high", "rate too low", "overfitting", "plateau", "no progress", "noise",
    }  # fmt: skip
    tried = {
        rule.__name__ for rule in RULES for curves, _ in SPEAKS.values() if rule(Curves.of(curves))
    }
    assert tried == {rule.__name__ for rule in RULES}


def test_the_evidence_names_epoch_and_size():
    val = DECAY + 0.03 * EPOCHS
    (advice,) = talweg.advise({"loss": DECAY, "val_loss": val})
    assert advice.evidence["epoch"] == val.argmin() + 1
    assert advice.evidence["rise"] == pytest.approx(val[-2] / val.min() - 1, rel=0.02)
    assert f"Since epoch {val.argmin() + 1}" in advice.sentence
    assert "Prechelt" in advice.source
    (line,) = talweg.advise({"loss": 2 - 0.02 * EPOCHS, "learning_rate": [0.1] * 30})
    assert line.evidence["fall an epoch"] == pytest.approx(0.02)
    assert line.evidence["learning rate"] == 0.1
    (gone,) = talweg.advise({"loss": [2.0, 3.0, np.nan]})
    assert (gone.evidence["epoch"], gone.evidence["loss before"]) == (3, 3.0)


def test_a_rate_that_changed_is_not_called_too_low():
    line = 2 - 0.02 * EPOCHS
    assert rules(loss=line, rate=np.full(30, 0.01)) == ["rate too low"]
    assert not rules(loss=line, rate=np.linspace(0.001, 0.01, 30))


def test_advice_is_frozen_and_prints_as_sentences():
    found = talweg.advise({"loss": DECAY, "val_loss": DECAY + 0.03 * EPOCHS})
    assert isinstance(found, tuple)
    assert str(found).startswith("- Since epoch")
    assert repr(found) == str(found)
    assert "No advice" in str(talweg.advise({"loss": HEALTHY}))
    with pytest.raises(dataclasses.FrozenInstanceError):
        found[0].rule = "other"


def test_every_rule_names_its_source():
    for curves, _ in SPEAKS.values():
        for advice in talweg.advise({k: list(v) for k, v in curves.items()}):
            assert any(letter.isdigit() for letter in advice.source)
            assert advice.sentence.endswith(".")
            assert "nan" not in advice.sentence


@pytest.mark.parametrize("given_", [3, [0.5, 0.4], None, np.zeros(5)])
def test_other_things_are_refused(given_):
    with pytest.raises(TypeError, match="History"):
        talweg.advise(given_)
    with pytest.raises(ValueError, match="loss"):
        talweg.advise({"accuracy": [0.5]})


curve = st.lists(
    st.floats(-1e30, 1e30) | st.just(float("nan")) | st.just(float("inf")), max_size=40
)


@given(curve, curve | st.none(), curve)
def test_no_curve_is_too_strange(loss, val_loss, rates):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = talweg.advise({"loss": loss, "val_loss": val_loss, "learning_rate": rates})
    assert len({advice.rule for advice in found}) == len(found)


@given(st.integers(0, 10_000))
def test_a_healthy_training_with_noise_is_left_alone(seed):
    rng = np.random.default_rng(seed)
    loss = HEALTHY * (1 + 0.02 * rng.normal(size=30))
    val = (HEALTHY + 0.05) * (1 + 0.01 * rng.normal(size=30))
    assert not rules(loss=loss, val_loss=val)


def test_the_noise_of_a_curve_ignores_its_trend():
    rng = np.random.default_rng(0)
    trend = np.exp(-np.arange(400) / 100)
    assert noise_of(trend) < 1e-3
    assert noise_of(trend + 0.1 * rng.normal(size=400)) == pytest.approx(0.1, rel=0.15)
    np.testing.assert_array_equal(median3(np.array([5.0, 1.0, 9.0, 2.0])), [5, 5, 2, 2])


# -- real trainings --------------------------------------------------------------------


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(64, 12)).astype("float32")
    return x, (x[:, :1] - x[:, 1:2] + 1.5 * rng.normal(size=(64, 1))).astype("float32")


def fitted(problem, rate, epochs=40, units=64, **arguments):
    x, y = problem
    model = talweg.Sequential([Dense(units, activation="relu", input_dim=12), Dense(1)])
    model.compile(talweg.optimizers.SGD(rate), "mse")
    return model.fit(
        x[:40], y[:40], epochs=epochs, validation_data=(x[40:], y[40:]), verbose=0, **arguments
    )


def test_real_trainings_are_told_what_is_wrong_with_them(problem):
    history = fitted(problem, 1e-3)
    assert isinstance(history, History)
    assert [a.rule for a in talweg.advise(history)] == ["rate too low"]
    with pytest.warns(RuntimeWarning, match="diverged"):
        wild = fitted(problem, 30.0)
    assert [a.rule for a in talweg.advise(wild)] == ["rate too high"]
    assert [a.rule for a in talweg.advise(fitted(problem, 0.02, 150))] == ["overfitting"]


# -- comparisons -----------------------------------------------------------------------


def comparison(scores, diverged=()):
    """A comparison from {(optimizer, rate): scores}."""
    trials = []
    for key, values in scores.items():
        for fold, score in enumerate(values):
            bad = key in diverged
            curves = {"loss": HEALTHY + score, "val_loss": HEALTHY + score}
            trials.append(Trial(*key, fold, 0, 0, float("nan") if bad else score, bad, curves, 1.0))
    folds = len(next(iter(scores.values())))
    recipe = Recipe(lambda: None, {}, "mse", None, None, None)
    return Comparison(tuple(trials), "val_loss", False, 1 / folds, {"epochs": 30}, recipe)


def test_a_best_rate_at_the_border_asks_for_more():
    base = np.array([0.1, 0.11, 0.12])
    inside = {("sgd", r): base + d for r, d in [(0.01, 0.2), (0.1, 0.0), (1.0, 0.2)]}
    assert not talweg.advise(comparison(inside))
    for place, way in ((0.01, "downwards"), (1.0, "upwards")):
        scores = {key: base + 0.3 * (key[1] != place) for key in inside}
        (advice,) = talweg.advise(comparison(scores))
        assert advice.rule == "edge of the grid"
        assert way in advice.sentence
        assert advice.evidence == {"best": place, "tried": (0.01, 1.0)}


def test_optimizers_that_cannot_be_told_apart_are_named():
    rates = (0.01, 0.1, 1.0)
    base = np.array([0.1, 0.11, 0.12])
    far = {("sgd", r): base + 0.5 * (r != 0.1) for r in rates}
    near = {("adam", r): base[::-1] + 0.5 * (r != 0.1) + 1e-3 for r in rates}
    (advice,) = talweg.advise(comparison({**far, **near}))
    assert advice.rule == "tie"
    assert "adam cannot be told from sgd" in advice.sentence
    worse = {key: values[::-1] + 0.2 for key, values in near.items()}
    assert not talweg.advise(comparison({**far, **worse}))


def test_many_divergences_are_told():
    base = np.array([0.1, 0.11, 0.12])
    scores = {("sgd", r): base + abs(np.log10(r) + 1) for r in (0.01, 0.1, 1.0, 10.0)}
    (advice,) = talweg.advise(comparison(scores, diverged=[("sgd", 10.0)]))
    assert advice.rule == "grid too high"
    (everything,) = talweg.advise(comparison(scores, diverged=list(scores)))
    assert everything.rule == "rate too high"


def test_a_real_comparison_is_advised(problem):
    result = talweg.compare(
        lambda: talweg.Sequential([Dense(1, input_dim=12)]), *problem, optimizers=["sgd"],
        learning_rates=[1e-4, 1e-3], folds=2, epochs=10, loss="mse", verbose=0,
    )  # fmt: skip
    assert talweg.advise(result)[0].rule == "edge of the grid"


# -- searches for a rate ---------------------------------------------------------------


def search(best=0.1, current=None, edge=10.0, noise=None, batch_size=32):
    """A result whose loss is lowest at `best`."""
    rates = np.geomspace(1e-3, 100, 11)
    best = np.broadcast_to(best, 3)
    end = 0.1 * np.log10(rates[:, None] / best) ** 2 + 0.2
    losses = np.repeat(np.where(rates[:, None] < edge, end, 5.0)[..., None], 4, axis=-1)
    setup = {"steps": 4, "batch_size": batch_size, "seeds": 3, "rows": 10**6}
    return RateResult("SGD", rates, losses, np.full((3, 4), 2.0), current, setup, noise)


@pytest.mark.parametrize(
    ("given_", "found"),
    [
        ({}, []),
        ({"current": 0.05}, []),
        ({"current": 30.0}, ["rate too high"]),
        ({"current": 1e-3}, ["rate too low"]),
        ({"current": 0.01}, []),
        ({"best": 1e-3}, ["edge of the grid"]),
        ({"best": 100.0, "edge": 1e9}, ["edge of the grid"]),
        ({"best": [1e-2, 0.1, 1.0]}, ["noise"]),
        ({"noise": GradientNoise(1000.0, 800.0, 1200.0, 1.0, 1.0, 10**5)}, ["batch size"]),
        ({"noise": GradientNoise(100.0, 80.0, 120.0, 1.0, 1.0, 10**5)}, []),
        ({"noise": GradientNoise(np.inf, 80.0, np.inf, 1.0, -1.0, 10**5)}, []),
        ({"noise": GradientNoise(2.0, 1.5, 2.5, 1.0, 1.0, 10**5)}, ["batch size"]),
    ],
)
def test_a_search_is_advised(given_, found):
    assert [advice.rule for advice in talweg.advise(search(**given_))] == found


def test_a_search_without_a_suggestion_says_so():
    (advice,) = talweg.advise(search(edge=0.0))
    assert advice.rule == "no progress"
    assert "No rate" in advice.sentence
