"""A run is a folder: what fit tells stands in its log, and its commands are obeyed."""

import json
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest

import talweg
from talweg import callbacks, cli, layers
from talweg.callbacks.run_folder import send
from talweg.core.events import (
    Alarm,
    BlockDone,
    EpochDone,
    RateChanged,
    RunEnded,
    RunStarted,
    read_log,
)  # fmt: skip

X = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
Y = X[:, :1]


def compiled(optimizer="sgd"):
    model = talweg.Sequential([layers.Input((3,)), layers.Dense(1)])
    model.compile(optimizer, "mse")
    return model


def of_kind(folder, kind):
    return [event for event in read_log(folder / "events.jsonl") if isinstance(event, kind)]


def test_the_log_tells_the_run_from_start_to_end(tmp_path):
    model = compiled()
    history = model.fit(
        X, Y, batch_size=8, epochs=3, verbose=0, callbacks=[callbacks.RunFolder(tmp_path)],
        validation_data=(X, Y),
    )  # fmt: skip
    told = read_log(tmp_path / "events.jsonl")
    assert told[0] == RunStarted(step=0, epochs=3, steps_per_epoch=8)
    assert told[-1] == RunEnded(step=24, reason="finished")
    blocks = of_kind(tmp_path, BlockDone)
    assert sum(block.steps for block in blocks) == 24
    assert blocks[-1].logs["loss"] == history.history["loss"][-1]
    assert [event.step for event in of_kind(tmp_path, EpochDone)] == [8, 16, 24]
    again = callbacks.History.of(told)
    assert again.history == history.history
    assert again.epoch == history.epoch


def test_every_change_of_a_hyperparameter_is_told_with_its_step(tmp_path):
    model = compiled(talweg.optimizers.SGD(0.1, momentum=0.5))

    class Change(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.optimizer.learning_rate = 0.1 / (epoch + 2)
            self.model.optimizer.momentum = 0.5  # to what it is: no change

    folder = callbacks.RunFolder(tmp_path)
    model.fit(X, Y, batch_size=16, epochs=3, verbose=0, callbacks=[folder, Change()])
    changes = of_kind(tmp_path, RateChanged)
    assert [(c.step, c.name) for c in changes] == [(4, "learning_rate"), (8, "learning_rate")]
    assert np.allclose([c.before for c in changes], [0.1, 0.05])
    assert np.allclose([c.after for c in changes], [0.05, 0.1 / 3])


def test_a_divergence_is_an_alarm_and_the_run_ends_as_stopped(tmp_path):
    model = compiled(talweg.optimizers.SGD(1e9))
    with pytest.warns(RuntimeWarning, match="diverged"):
        model.fit(X, Y, epochs=50, verbose=0, callbacks=[callbacks.RunFolder(tmp_path)])
    (alarm,) = of_kind(tmp_path, Alarm)
    assert alarm.kind == "divergence"
    assert "diverged" in alarm.message
    assert of_kind(tmp_path, RunEnded)[0].reason == "stopped"


def test_an_error_and_a_ctrl_c_are_the_reason_of_the_end(tmp_path):
    for error, reason in (
        (KeyboardInterrupt(), "interrupted"),
        (OSError("x"), "failed: OSError: x"),
    ):

        class Break(callbacks.Callback):
            error: BaseException

            def on_epoch_end(self, epoch, logs=None):
                raise self.error

        breaking = Break()
        breaking.error = error
        with pytest.raises(type(error)):
            compiled().fit(X, Y, verbose=0, callbacks=[callbacks.RunFolder(tmp_path), breaking])
        assert of_kind(tmp_path, RunEnded)[-1].reason == reason


def test_a_second_run_goes_on_with_the_log_even_after_a_torn_line(tmp_path):
    for _ in range(2):
        compiled().fit(X, Y, verbose=0, callbacks=[callbacks.RunFolder(tmp_path)])
        with (tmp_path / "events.jsonl").open("a") as log:
            log.write('{"event": "Block')
    assert len(of_kind(tmp_path, RunStarted)) == 2
    assert callbacks.History.of(read_log(tmp_path / "events.jsonl")).epoch == [0]


def test_without_listeners_no_event_is_made():
    seen = callbacks.CallbackList([callbacks.History()])
    assert not seen.listens
    assert callbacks.CallbackList([callbacks.LambdaCallback()]).listens is False


def run_and_send(tmp_path, commands, epochs=100_000):
    model = compiled(talweg.optimizers.SGD(0.01))
    folder = callbacks.RunFolder(tmp_path)

    def other():
        while not of_kind(tmp_path, BlockDone):
            time.sleep(0.01)
        with (tmp_path / "commands.jsonl").open("a") as file:
            file.writelines(commands)
        send(tmp_path, stop=True)

    thread = threading.Thread(target=other)
    folder.events()
    (tmp_path / "events.jsonl").touch()
    thread.start()
    model.fit(X, Y, epochs=epochs, verbose=0, callbacks=[folder])
    thread.join()
    return model


def test_commands_from_outside_set_the_rate_and_stop(tmp_path):
    model = run_and_send(tmp_path, ['{"set": {"learning_rate": 0.0625}}\n'])
    assert float(model.optimizer.learning_rate) == 0.0625
    assert of_kind(tmp_path, RunEnded)[0].reason == "stopped"
    commands = [c.name for c in of_kind(tmp_path, RateChanged)]
    assert commands in ([], ["learning_rate"])  # the stop may come with it


def test_a_command_that_cannot_be_obeyed_is_an_alarm_and_changes_nothing(tmp_path):
    wrong = [
        "no json\n", "[1]\n", '{"set": 3}\n', '{"set": {"learning_rate": -1}}\n',
        '{"set": {"__class__": 1}}\n', '{"set": {"name": "x"}}\n', '{"run": "rm"}\n',
        "[" * 100_000 + "\n", '{"set": {"learning_rate": NaN}}\n',
    ]  # fmt: skip
    model = run_and_send(tmp_path, wrong)
    alarms = of_kind(tmp_path, Alarm)
    assert len(alarms) == len(wrong)
    assert all(alarm.kind == "command" and "refused" in alarm.message for alarm in alarms)
    assert float(model.optimizer.learning_rate) == np.float32(0.01)


def test_commands_of_an_earlier_run_are_not_obeyed(tmp_path):
    compiled().fit(X, Y, verbose=0, callbacks=[callbacks.RunFolder(tmp_path)])
    send(tmp_path, stop=True)
    history = compiled().fit(X, Y, epochs=3, verbose=0, callbacks=[callbacks.RunFolder(tmp_path)])
    assert len(history.epoch) == 3


def test_the_command_shows_what_the_run_says_to_it(tmp_path, capsys):
    model, ready = compiled(), threading.Event()
    stop = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ready.set())
    run = threading.Thread(
        target=model.fit, args=(X, Y), daemon=True,
        kwargs={"epochs": 10**6, "verbose": 0, "callbacks": [callbacks.RunFolder(tmp_path), stop]},
    )  # fmt: skip
    run.start()
    assert ready.wait(60)
    assert cli.main(["set", str(tmp_path), "learning_rate=0.5"]) == 0
    assert "learning_rate 0.01 → 0.5" in capsys.readouterr().out
    assert cli.main(["set", str(tmp_path), "lerning_rate=0.5"]) == 1
    assert "Did you mean 'learning_rate'?" in capsys.readouterr().err
    assert cli.main(["stop", str(tmp_path)]) == 0
    assert "the run has ended (stopped)" in capsys.readouterr().out
    run.join(60)
    assert cli.main(["set", str(tmp_path), "learning_rate=0.5"]) == 1
    assert "has ended (stopped): nobody would obey" in capsys.readouterr().err


def test_another_process_lowers_the_rate(tmp_path):
    callbacks.RunFolder(tmp_path).on_event(RunStarted(step=0, epochs=1, steps_per_epoch=1))
    command = [sys.executable, "-m", "talweg", "set", str(tmp_path), "learning_rate=0.5"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "learning_rate" in done.stdout
    (line,) = (tmp_path / "commands.jsonl").read_text().splitlines()
    assert json.loads(line) == {"set": {"learning_rate": 0.5}}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stop = [sys.executable, "-m", "talweg", "stop", str(tmp_path / "none")]
        failed = subprocess.run(stop, capture_output=True, text=True, timeout=60, check=False)
    assert failed.returncode == 1
    assert "holds no run" in failed.stderr
