"""Every example keeps the convention of examples/README.md; those on pictures and sound learn on
a small slice, and what they measure with is computed rightly."""

import ast
import doctest
import importlib.util
import json
import shutil
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


record = example("record")


@pytest.fixture
def run(fully_compiled, monkeypatch, tmp_path, capsys):
    """Run an example in an empty folder; the line it ends with must hold its scores."""

    def running(name: str, *arguments: str) -> dict[str, float]:
        monkeypatch.chdir(tmp_path)
        scores = example(name).main(arguments)
        said = record.scores_in(name, capsys.readouterr().out)
        assert said == {key: float(f"{value:.4g}") for key, value in scores.items()}
        return scores

    return running


# -- the convention ----------------------------------------------------------------------


@pytest.mark.parametrize("name", record.examples())
def test_an_example_is_one_short_file_that_says_what_it_is(name):
    text = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 150
    assert all(record.declared(name).values())
    imported = {
        (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name).partition(".")[0]
        for node in ast.parse(text).body
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert "keras" not in imported
    assert not imported & {"matplotlib", "pandas", "sklearn", "gymnasium"}
    assert callable(example(name).main)


@pytest.mark.parametrize("name", record.examples())
def test_what_was_recorded_is_in_the_table(name):
    records = json.loads((EXAMPLES / "scores.json").read_text(encoding="utf-8"))
    scores = records[name]["scores"]
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    row = next(line for line in readme.splitlines() if line.startswith(f"| [{name}]({name}.py)"))
    assert all(f"{value:.4g}" in row for value in scores.values())


def test_every_file_of_data_has_its_licence_named():
    rows = (EXAMPLES / "data" / "README.md").read_text(encoding="utf-8")
    for path in (EXAMPLES / "data").iterdir():
        assert path.name == "README.md" or path.name in rows, path.name


def test_a_table_is_made_of_records_and_docstrings():
    scores = {"accuracy": 0.98765, "baseline": 0.5, "log_loss": 0.1}
    versions = {"jax": "0.10"}
    records = {"digits": {"scores": scores, "seconds": 41.4, "machine": "m", "versions": versions}}
    row = record.table(records).splitlines()[2]
    assert "| **accuracy 0.9877**, log loss 0.1 | 0.5, the nearest" in row
    assert row.endswith("| 41 s |")


def test_the_examples_in_the_docstrings_of_record_run():
    assert doctest.testmod(record) == (0, 1)


@pytest.mark.parametrize("line", ["", "other: accuracy 1", "digits: accuracy", "Killed"])
def test_a_run_that_does_not_end_with_scores_is_not_recorded(line):
    with pytest.raises(ValueError, match="the last line should name the scores"):
        record.scores_in("digits", f"epoch 1\n{line}\n")


def test_a_failed_run_keeps_the_old_record_and_is_told(monkeypatch, tmp_path, capfd):
    for file in ("README.md", "digits.py"):
        shutil.copy(EXAMPLES / file, tmp_path)
    versions = {"jax": "0.10"}
    old = {"scores": {"accuracy": 0.9, "baseline": 0.1}, "seconds": 1.0, "machine": "m"}
    (tmp_path / "scores.json").write_text(json.dumps({"digits": {**old, "versions": versions}}))
    monkeypatch.setattr(record, "HERE", tmp_path)
    monkeypatch.setattr(record, "SCORES", tmp_path / "scores.json")
    with pytest.raises(SystemExit, match="not recorded: digits"):
        record.main([])  # there is no data beside the copy
    assert "mnist-5k.npz is missing" in capfd.readouterr().err
    assert "**accuracy 0.9**" in (tmp_path / "README.md").read_text(encoding="utf-8")


# -- the examples ------------------------------------------------------------------------


@pytest.mark.battery
def test_digits_are_told_apart_better_than_by_mean_pictures(run, tmp_path):
    scores = run("digits", "--rows", "1500", "--epochs", "4", "--rate", "3e-3")
    assert scores["accuracy"] > scores["baseline"] + 0.04
    assert scores["log_loss"] < 0.5
    assert (tmp_path / "digits.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.battery
def test_xray_ranks_the_ill_above_the_healthy(run, tmp_path):
    scores = run("xray", "--rows", "256", "--epochs", "4")
    assert scores["auc"] > 0.8
    assert scores["baseline"] > 0.6
    assert scores["sensitivity"] + scores["specificity"] > 1.3
    assert (tmp_path / "xray.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.battery
def test_xray_takes_the_weight_of_the_rarer_class_off_again():
    rng = np.random.default_rng(0)
    labels = (np.arange(1500) % 10 == 0).astype("float32")
    images = rng.normal(0, 0.01, (1500, 28, 28, 1)).astype("float32")
    xray = example("xray")
    logits = xray.learn([xray.layers.Flatten()], (images, labels), (images, labels), 2, 1e-3)
    # Nothing can be seen, so the chance is that of the class, one in ten.
    assert 1 / (1 + np.exp(-np.median(logits(images)))) == pytest.approx(0.1, abs=0.02)


def test_xray_leaves_out_pictures_until_the_share_is_right():
    train, validation, test = example("xray").load(EXAMPLES / "data", None, 0.1, 0)
    assert train[1].mean() == pytest.approx(0.1, abs=1e-3)
    assert validation[1].mean() == pytest.approx(0.1, abs=1e-2)
    assert test[1].mean() == 0.5


def test_areas_and_calibration_errors_are_those_by_definition():
    xray = example("xray")
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 300)
    logits = np.round(rng.normal(labels, 1.0), 1)  # with ties
    pairs = logits[labels == 1][:, None] - logits[labels == 0]
    area = (pairs > 0).mean() + (pairs == 0).mean() / 2
    assert xray.area(logits, labels) == pytest.approx(area)
    said = np.repeat([0.2, 0.8], 500)
    true = np.concatenate([np.arange(500) % 5 == 0, np.arange(500) % 10 != 0])
    points, error = xray.reliability(np.log(said / (1 - said)), true.astype(float))
    np.testing.assert_allclose(points[0], [0.2, 0.2])
    np.testing.assert_allclose(points[-1], [0.8, 0.9])
    assert error == pytest.approx(0.05)


@pytest.mark.battery
def test_speech_is_understood_better_than_by_mean_spectrograms(run):
    scores = run("speech", "--rows", "360", "--epochs", "8", "--speakers", "theo")
    assert scores["heard"] > 0.5
    assert scores["accuracy"] == scores["worst_speaker"]
    assert scores["accuracy"] > 0.25  # of a voice that was not heard; by chance 0.1


def test_recordings_are_equally_loud_and_as_many_of_each_digit_and_speaker():
    sounds, digits, speakers = example("speech").load(EXAMPLES / "data", 3)
    assert sounds.shape == (180, 8000)
    lengths = (sounds != 0)[:, ::-1].argmax(1)
    np.testing.assert_allclose((sounds**2).sum(1) / (8000 - lengths), 1.0, rtol=0.01)
    assert np.bincount(digits).tolist() == [18] * 10
    assert set(zip(*np.unique(speakers, return_counts=True), strict=True)) == {
        (speaker, 30) for speaker in example("speech").SPEAKERS
    }


@pytest.mark.battery
def test_every_trial_of_speech_begins_anew():
    speech = example("speech")
    sounds = np.random.default_rng(0).normal(size=(60, 8000)).astype("float32")
    digits = np.arange(60, dtype="int32") % 10
    asked = np.arange(60) < 10
    trial = speech.Trial(1, 50, 0)
    first = trial("first", sounds, digits, asked)
    weights = [np.array(variable) for variable in trial.model.trainable_variables]
    assert trial("second", sounds, digits, asked) == first
    for before, after in zip(weights, trial.model.trainable_variables, strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("name", ["digits", "xray", "speech"])
def test_data_that_is_missing_is_named(name, tmp_path):
    with pytest.raises(SystemExit, match=rf"{name}: .* is missing; get .*http"):
        example(name).main(["--data", str(tmp_path)])
