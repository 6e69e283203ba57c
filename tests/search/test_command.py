"""`talweg compare`: a table in, an answer out, and clear words for what cannot be compared."""

import gzip
from pathlib import Path

import numpy as np
import pandas
import pytest

from talweg import cli

FAST = ["--folds", "2", "--epochs", "2", "--optimizers", "sgd", "adam", "--learning-rates", "0.1"]


@pytest.fixture
def people():
    rng = np.random.default_rng(0)
    age = rng.integers(18, 80, 120)
    return pandas.DataFrame(
        {
            "age": age,
            "job": rng.choice(["clerk", "smith", None], 120),
            "height": np.where(rng.random(120) < 0.1, np.nan, rng.normal(170, 10, 120)),
            "income": np.where(age + rng.normal(0, 5, 120) > 45, "high", "low"),
        }
    )


def run(*arguments):
    return cli.main(["compare", *map(str, arguments)])


@pytest.mark.sampled
@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "parquet"])
def test_a_table_is_compared_and_reported(people, tmp_path, capsys, suffix):
    path, report = tmp_path / f"people.{suffix}", tmp_path / "report.html"
    people.to_parquet(path) if suffix == "parquet" else people.to_csv(path, index=False)
    assert run(path, "--target", "income", "--report", report, *FAST) == 0
    out = capsys.readouterr().out
    assert "120 rows, 3 columns" in out
    assert "2 classes" in out
    assert "Missing values" in out
    assert "learning rate of 0.1" in out
    assert "report.html" in out
    assert "income" in report.read_text()


def test_a_regression_is_scored_in_deviations_of_its_target(people, tmp_path, capsys):
    path = tmp_path / "people.csv"
    people.drop(columns="income").assign(weight=people["age"] * 1000.5).to_csv(path, index=False)
    assert run(path, "--target", "weight", "--monitor", "val_mae", "--quiet", *FAST) == 0
    out = capsys.readouterr().out
    assert "a regression" in out
    assert "in standard deviations" in out
    assert "val_mae" in out
    assert run(path, "--target", "weight", "--quiet", *FAST) == 0
    assert "in variances" in capsys.readouterr().out


def test_a_part_of_the_rows_is_enough_for_a_first_look(people, tmp_path, capsys):
    path = tmp_path / "people.csv"
    people.to_csv(path, index=False)
    assert run(path, "--target", "income", "--rows", "60", "--quiet", *FAST) == 0
    assert "60 of 120 rows" in capsys.readouterr().out


@pytest.mark.battery
def test_more_rows_than_there_are_is_all_of_them(people, tmp_path, capsys):
    path = tmp_path / "people.csv"
    people.to_csv(path, index=False)
    said = []
    for arguments in ([], ["--rows", "500"]):
        assert run(path, "--target", "income", "--quiet", *arguments, *FAST) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    assert "random part" not in said[1]


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="has no folder that nobody can write to")
def test_a_report_that_could_not_be_written_is_refused_before_the_training(
    people, tmp_path, capsys
):
    path = tmp_path / "people.csv"
    people.to_csv(path, index=False)
    assert run(path, "--target", "income", "--report", "/proc/report.html", *FAST) == 1
    out, said = capsys.readouterr()
    assert "--report must be in a folder that can be written to, got '/proc/report.html'" in said
    assert not out


@pytest.mark.parametrize(
    ("change", "arguments", "words"),
    [
        (lambda table: table, ["--target", "incom"], "Did you mean 'income'"),
        (lambda table: table.iloc[:0], ["--target", "income"], "rows"),
        (lambda table: table.assign(income="high"), ["--target", "income"], "vary"),
        (
            lambda table: table.assign(income=["one", *["two"] * 119]),
            ["--target", "income"],
            "one",
        ),
        (lambda table: table, ["--target", "income", "--folds", "1"], "folds"),
        (lambda table: table, ["--target", "income", "--monitor", "val_acc"], "val_accuracy"),
        (lambda table: table, ["--target", "income", "--optimizers", "adma"], "adam"),
        (lambda table: table, ["--target", "income", "--rows", "0"], "--rows"),
        (lambda table: table, ["--target", "income", "--report", "/no/such/r.html"], "--report"),
        (lambda table: table, ["--target", "income", "--report", "."], "It is a folder."),
        (lambda table: table, ["--target", "income", "--seed", "-1"], "not be negative, got -1"),
    ],
)
def test_what_cannot_be_compared_is_said_in_one_line(
    people, tmp_path, capsys, change, arguments, words
):
    path = tmp_path / "people.csv"
    change(people).to_csv(path, index=False)
    assert run(path, *arguments) == 1
    said = capsys.readouterr().err.strip()
    assert words in said
    assert said.startswith("talweg compare: ")
    assert "Traceback" not in said


def test_an_empty_file_is_said(tmp_path, capsys):
    for name, content in (("empty.csv", b""), ("empty.csv.gz", gzip.compress(b""))):
        path = tmp_path / name
        path.write_bytes(content)
        assert run(path, "--target", "income") == 1
        assert "empty" in capsys.readouterr().err
