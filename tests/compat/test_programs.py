"""Whole programs in tests/programs, unchanged, on talweg; where they can, as on Keras too.

Keras's lines are recorded in tests/goldens/programs.json. Both sides start from the same
weights and go through the rows in the same order (tests/goldens/steady.py), so that the
numbers are compared to the digits that a program prints.
"""

import importlib
import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import pytest

from goldens.make_programs import recorded
from goldens.program_cases import QUICK, REFERENCES, WITH_TENSORFLOW
from goldens.steady import SEED, differences, lines, steady, store_data
from talweg.compat import run_script

PROGRAMS = pathlib.Path(__file__).parent.parent / "programs"
GOLDENS = json.loads(
    (pathlib.Path(__file__).parent.parent / "goldens" / "programs.json").read_text()
)["programs"]

pytestmark = pytest.mark.filterwarnings("ignore")


def facts(text):
    """The last line that begins with a word, by that word: "loss 0.3" is {"loss": "0.3"}."""
    found = {}
    for line in text.splitlines():
        words = line.rsplit(" ", 1)
        if len(words) == 2:
            found[words[0]] = words[1]
    return found


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A cache with small files in the place of the data sets."""
    home = tmp_path_factory.mktemp("keras")
    store_data(home)
    return home


@pytest.fixture
def program(hook, capsys, data, monkeypatch, tmp_path):
    """Runs a program in this process, on its own draws, and returns what it prints."""
    monkeypatch.setenv("KERAS_HOME", str(data))
    monkeypatch.setattr("talweg.data.download.validated", lambda *_: True)
    monkeypatch.chdir(tmp_path)

    def run(name, *arguments):
        capsys.readouterr()
        code = run_script(str(PROGRAMS / f"{name}.py"), arguments)
        shown = capsys.readouterr()
        assert code == 0, shown.err
        return shown.out

    return run


@pytest.fixture
def steadily(program, monkeypatch):
    """The same under the draws that the recorded runs had."""
    monkeypatch.setattr("talweg.core.random.draw_seed", lambda: SEED)
    keras, tensorflow = map(importlib.import_module, ("keras", "tensorflow"))
    with steady(keras, tensorflow.data.Dataset):
        yield program


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in QUICK else [pytest.mark.battery])
        for name in REFERENCES
    ],
)
def test_a_program_says_on_talweg_what_it_says_on_keras(name, steadily):
    assert differences(lines(steadily(name)), lines("\n".join(GOLDENS[name]["lines"]))) == []


@pytest.mark.battery
@pytest.mark.parametrize("name", [name for name, kind in REFERENCES.items() if kind == "keras"])
def test_what_is_recorded_is_what_keras_says_today(name):
    if name in WITH_TENSORFLOW and importlib.util.find_spec("tensorflow") is None:
        pytest.skip("tensorflow is not installed")
    assert differences(recorded(sys.executable, name, "keras"), GOLDENS[name]["lines"]) == []


@pytest.mark.parity
@pytest.mark.parametrize("name", [name for name, kind in REFERENCES.items() if kind != "keras"])
def test_what_is_recorded_is_what_keras_on_tensorflow_says_today(name):
    for module in ("tensorflow", "tf_keras") if REFERENCES[name] == "keras2" else ("tensorflow",):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    shown = recorded(sys.executable, name, REFERENCES[name])
    assert differences(shown, lines("\n".join(GOLDENS[name]["lines"]))) == []


def test_every_program_is_run_by_a_test_and_every_recorded_one_is_there():
    text = pathlib.Path(__file__).read_text()
    programs = {path.stem for path in PROGRAMS.glob("*.py")}
    assert {name for name in programs if f'"{name}"' not in text} - set(REFERENCES) == set()
    assert set(GOLDENS) == set(REFERENCES)
    assert set(REFERENCES) | set(QUICK) <= programs
    assert {name: golden["kind"] for name, golden in GOLDENS.items()} == REFERENCES


def test_a_comparison_sees_other_words_and_other_numbers():
    assert differences(["loss 0.5001 a"], ["loss 0.5 a"]) == []
    assert differences(["[1.0, 2.5]", "x 3e-4"], ["[1.0, 2.51]", "x 3e-4"]) != []
    assert differences(["loss 0.5"], ["lost 0.5"]) != []
    assert differences(["loss 0.5"], ["loss 0.5", "mae 1"]) != []
    assert lines("Epoch 1/2\nloss 1\n\n3/3 - 0s - 9ms/step\n") == ["loss 1"]


def test_python_m_talweg_runs_a_program_in_a_process_of_its_own(tmp_path):
    script = str(PROGRAMS / "keras3_custom.py")
    command = [sys.executable, "-m", "talweg", script, "--epochs", "2"]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert facts(done.stdout)["epochs"] == "2"
    assert facts(done.stdout)["units"] == "24"


def test_a_tape_is_refused_with_the_lines_that_take_its_place(hook, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    path = PROGRAMS / "gradient_tape"
    assert run_script(str(path.with_suffix(".py"))) == 1
    shown = capsys.readouterr().err
    assert "jax.value_and_grad(loss_of, has_aux=True)" in shown
    assert "line 12, in <module>\n    with tf.GradientTape() as tape" in shown


def test_the_lines_that_take_the_place_of_a_tape_train(hook):
    import jax
    import keras
    import numpy as np

    from talweg.compat.names import GRADIENTS

    indented = GRADIENTS.partition("\n\nwrite\n\n")[2].rpartition("\n\nor leave")[0]
    code = "\n".join(line.removeprefix("    ") for line in indented.splitlines())
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.BatchNormalization(), keras.layers.Dense(1)]
    )
    x = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
    space = {
        "jax": jax, "model": model, "loss_fn": keras.losses.MeanSquaredError(),
        "optimizer": keras.optimizers.SGD(0.1), "x": x, "y": x[:, :1] * 2 + 1,
    }  # fmt: skip
    first = [v.numpy() for v in model.variables]
    losses = []
    for _ in range(20):
        exec(code, space)
        losses.append(float(space["loss"]))
    assert losses[-1] < 0.3 * losses[0]
    assert all((a != v.numpy()).any() for a, v in zip(first, model.variables, strict=True))


def test_a_rate_set_by_hand_while_it_trains_acts_at_the_next_epoch(program):
    shown = program("rate_by_hand")
    assert "rates [0.001, 0.001, 0.0001, 0.0001]" in shown
    assert float(facts(shown)["rate"]) == pytest.approx(1e-4)


@pytest.mark.battery
def test_schedules_are_followed(program):
    lines = program("rate_by_schedule").splitlines()
    assert lines[0::2] == ["falls True"] * 3
    exponential, piecewise, cosine = (float(line.split()[-1]) for line in lines[1::2])
    assert exponential == pytest.approx(0.001 * 0.96 ** (40 / 10000), abs=1e-7)
    assert (piecewise, cosine) == (0.001, 0.0)


@pytest.mark.battery
def test_callbacks_lower_the_rate(program):
    got = facts(program("rate_by_callback"))
    assert got["first rate"] == "0.01"
    assert got["last rate"] == "0.0001"
    assert got["epochs"] == "6"
    assert float(got["rate after"]) == pytest.approx(0.1 * 2.718281828**-0.3, rel=1e-3)


@pytest.mark.battery
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
