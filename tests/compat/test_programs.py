"""Whole programs in tests/programs, unchanged, on talweg; where they can, on Keras too."""

import os
import pathlib
import subprocess
import sys

import pytest

from talweg.compat import run_script

PROGRAMS = pathlib.Path(__file__).parent.parent / "programs"


def facts(text):
    """The last line that begins with a word, by that word: "loss 0.3" is {"loss": "0.3"}."""
    found = {}
    for line in text.splitlines():
        words = line.rsplit(" ", 1)
        if len(words) == 2:
            found[words[0]] = words[1]
    return found


def alone(*command):
    """What a command prints in a process of its own."""
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_COMPILATION_CACHE_DIR": _CACHE}
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        cwd=PROGRAMS,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


_CACHE = os.environ.get("TALWEG_TEST_CACHE", "/tmp/talweg-test-cache")


@pytest.fixture
def program(hook, capsys):
    """Runs a program in this process and returns what it prints."""

    def run(name, *arguments):
        capsys.readouterr()
        code = run_script(str(PROGRAMS / f"{name}.py"), arguments)
        shown = capsys.readouterr()
        assert code == 0, shown.err
        return shown.out

    return run


pytestmark = pytest.mark.filterwarnings("ignore")


COMPARED = {
    "first_network": ((), {"loss": 0.15, "accuracy": 0.07}),
    "keras3_custom": (
        ("--epochs", "5"),
        {"epochs": 0, "mae": 0.1, "parameters": 0, "units": 0},
    ),
}

# Keras takes seconds to import: once for all programs.
_ON_KERAS = """
import runpy, sys
for program in sys.argv[1:]:
    sys.argv = program.split()
    runpy.run_path(sys.argv[0], run_name="__main__")
    print("NEXT")
"""


@pytest.fixture(scope="module")
def on_keras():
    commands = [f"{name}.py " + " ".join(arguments) for name, (arguments, _) in COMPARED.items()]
    shown = alone("-c", _ON_KERAS, *commands).split("NEXT\n")
    return dict(zip(COMPARED, shown, strict=False))


@pytest.mark.parametrize("name", COMPARED)
def test_a_program_gives_on_talweg_roughly_what_it_gives_on_keras(name, on_keras):
    arguments, compared = COMPARED[name]
    ours = facts(alone("-m", "talweg", f"{name}.py", *arguments))
    theirs = facts(on_keras[name])
    for key, tolerance in compared.items():
        assert float(ours[key]) == pytest.approx(float(theirs[key]), abs=tolerance), key


def test_every_program_is_run_by_a_test():
    text = pathlib.Path(__file__).read_text()
    assert [path.stem for path in PROGRAMS.glob("*.py") if f'"{path.stem}"' not in text] == []


def test_a_rate_set_by_hand_while_it_trains_acts_at_the_next_epoch(program):
    shown = program("rate_by_hand")
    assert "rates [0.001, 0.001, 0.0001, 0.0001]" in shown
    assert float(facts(shown)["rate"]) == pytest.approx(1e-4)


def test_schedules_are_followed(program):
    lines = program("rate_by_schedule").splitlines()
    assert lines[0::2] == ["falls True"] * 3
    exponential, piecewise, cosine = (float(line.split()[-1]) for line in lines[1::2])
    assert exponential == pytest.approx(0.001 * 0.96 ** (40 / 10000), abs=1e-7)
    assert (piecewise, cosine) == (0.001, 0.0)


def test_callbacks_lower_the_rate(program):
    got = facts(program("rate_by_callback"))
    assert got["first rate"] == "0.01"
    assert got["last rate"] == "0.0001"
    assert got["epochs"] == "6"
    assert float(got["rate after"]) == pytest.approx(0.1 * 2.718281828**-0.3, rel=1e-3)


def test_keras_2_of_2017_learns_its_digits(program):
    got = facts(program("keras2_digits"))
    assert float(got["accuracy"]) > 0.9
    assert got["rate below the first"] == "True"
    assert got["weights"] == "10"


def test_metrics_written_with_the_old_backend_are_what_they_say(program):
    shown = program("own_metrics")
    got = facts(shown)
    assert float(got["acc"]) > 0.9
    assert 0.9 < float(got["f1"]) <= 1.0
    assert got["five results"] == "True"


def test_tensorflow_2_code_around_keras_runs(program):
    got = facts(program("tensorflow2"))
    assert got["major"] == "2"
    assert got["batches"] == "16"
    assert float(got["acc"]) > 0.85
    assert float(got["by hand"]) == pytest.approx(float(got["acc"]), abs=1e-6)
    assert got["factor moved"] == "True"
    assert got["shape"] == "2"
