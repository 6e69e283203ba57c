"""The examples on text, ratings, control and forecasts learn on a small slice, and what they
are measured against is computed rightly."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name: str) -> ModuleType:
    """An example as a module, from its file."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run(fully_compiled, monkeypatch, tmp_path, capsys):
    """Run an example in an empty folder; its scores must stand in the last line as well."""

    def running(name: str, *arguments: str) -> dict[str, float]:
        monkeypatch.chdir(tmp_path)
        scores = example(name).main(arguments)
        last = capsys.readouterr().out.rstrip().rpartition("\n")[2]
        assert last == f"{name}: " + ", ".join(f"{key} {v:.4g}" for key, v in scores.items())
        assert list(scores)[1] == "baseline"
        return scores

    return running


@pytest.mark.battery
def test_sentiment_learns_more_than_the_majority(run):
    pytest.importorskip("sklearn")
    scores = run("sentiment", "--rows", "2000", "--epochs", "5", "--members", "1")
    assert scores["baseline"] > scores["majority"] + 0.1
    assert scores["accuracy"] > scores["majority"] + 0.05


def test_sentiment_labels_praise_with_1_and_leaves_the_undecided_out():
    sentences, praise = example("sentiment").load(
        EXAMPLES / "data" / "movie-sentences.tsv.gz", None, 0
    )
    assert len(sentences) == 10_072
    label = dict(zip(sentences, praise, strict=True))
    assert label["By turns very dark and very funny."] == 1
    assert label["Effective but too tepid biopic"] == 0


@pytest.mark.battery
def test_characters_learn_more_than_single_frequencies(run):
    scores = run("characters", "--rows", "800", "--epochs", "4", "--blocks", "1", "--write", "20")
    assert scores["bits_per_character"] < scores["single"] - 0.5


def test_frequencies_of_pairs_know_a_text_that_alternates():
    text = np.tile([0, 1], 5000)
    single, pair = example("characters").counted(text, text[:100], 2)
    assert single == pytest.approx(1.0, abs=1e-3)
    assert pair == pytest.approx(0.0, abs=1e-3)


def test_a_character_does_not_see_those_after_it():
    model = example("characters").build(5, 2)
    text = np.zeros((1, 64), "int32")
    changed = text.copy()
    changed[0, 40:] = 3
    before, after = np.asarray(model(text)), np.asarray(model(changed))
    np.testing.assert_allclose(before[0, :40], after[0, :40], atol=1e-5)
    assert np.abs(before[0, 40:] - after[0, 40:]).max() > 1e-2


@pytest.mark.battery
def test_ratings_by_biases_and_vectors_beat_the_mean(run):
    scores = run("ratings", "--folds", "2", "--epochs", "40")
    assert scores["rmse"] < scores["mean"] - 0.02
    assert scores["baseline"] < scores["mean"] - 0.02


def test_naive_ratings_are_those_by_hand():
    index = np.array([0, 0, 1], "int32")
    train = index, np.array([0, 1, 1], "int32"), np.array([2.0, 1.0, 0.0])
    found = example("ratings").by_means(train, (np.array([1]), np.array([0])), damping=0.0)
    assert found["mean"][0] == 1.0
    assert found["guest_mean"][0] == 0.0
    assert found["restaurant_mean"][0] == 2.0
    # Guest 0 is half a point above the mean and gave restaurant 0 half a point more yet.
    assert found["baseline"][0] == pytest.approx(1.0 - 1.0 + 0.5)


@pytest.mark.battery
def test_robot_balances_longer_than_by_chance(run):
    pytest.importorskip("gymnasium")
    scores = run("robot", "--epochs", "25", "--rows", "8", "--episodes", "20")
    assert scores["baseline"] < 40
    assert scores["mean_return"] > 3 * scores["baseline"]


def test_returns_are_discounted_sums_of_what_is_still_earned():
    robot = example("robot")
    running = np.array([[True, True], [True, False], [True, False]])
    d = robot.DISCOUNT
    expected = np.array([[1 + d + d**2, 1.0], [1 + d, 0.0], [1.0, 0.0]])
    np.testing.assert_allclose(robot.returns_to_go(running, np.array([False, False])), expected)
    # A pole that stands when time is up would have earned 1 / (1 - d) = 1 + d + d² + … more.
    stands = robot.returns_to_go(running, np.array([True, False]))
    np.testing.assert_allclose(stands[:, 0], 1 / (1 - d))
    np.testing.assert_allclose(stands[:, 1], expected[:, 1])


def test_robot_without_gymnasium_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(SystemExit, match=r"robot: gymnasium is missing; .*talweg\[robotics\]"):
        example("robot").main([])


@pytest.mark.battery
def test_forecast_finds_the_season_of_passengers(run, tmp_path):
    pytest.importorskip("matplotlib")
    scores = run("forecast", "--series", "passengers", "--epochs", "60", "--folds", "1")
    assert scores["baseline"] == 1.0
    assert scores["passengers_lstm"] < 0.9
    assert (tmp_path / "forecast.png").read_bytes().startswith(b"\x89PNG")


def test_forecast_leaves_series_out_by_name(tmp_path, capsys):
    with pytest.raises(SystemExit, match="forecast: none of the files is in"):
        example("forecast").main(["--series", "apple", "--data", str(tmp_path)])
    assert "apple: skipped, " in capsys.readouterr().out


def test_difference_within_the_noise_is_none():
    verdict = example("forecast").verdict
    errors = np.random.default_rng(0).uniform(size=200)
    assert verdict(errors, errors[::-1]) == "no difference that counts"
    assert verdict(errors, errors + 1.0) == "better"
    assert verdict(errors + 1.0, errors) == "worse"


@pytest.mark.parametrize("name", ["sentiment", "characters", "ratings"])
def test_data_that_is_missing_is_named(name, tmp_path):
    with pytest.raises(SystemExit, match=f"{name}: .* is missing; get it from"):
        example(name).main(["--data", str(tmp_path)])
