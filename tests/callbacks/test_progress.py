"""The progress bar: plain lines off a terminal, a live line on one."""

import io
import os
import pty
import re
import subprocess
import sys
import textwrap
import time
from types import SimpleNamespace

import keras
import pytest

from talweg.callbacks import CallbackList, Progbar, ProgbarLogger, console
from talweg.callbacks.progress import number

TIMES = re.compile(r"\d+(s|ms|us)\b")


CLOCK = SimpleNamespace(now=0.0)


@pytest.fixture(autouse=True)
def _clock(monkeypatch):
    """The bar's own clock, so that a busy machine changes no test."""
    clock = SimpleNamespace(perf_counter=lambda: CLOCK.now)
    monkeypatch.setattr("talweg.callbacks.progress.time", clock)


def fit(epochs=2, steps=200, verbose=1, blocks=(50, 100, 150, 200), validate=True, pause=0.0):
    """What a loop does with its callbacks."""
    group = CallbackList([], add_progbar=True, epochs=epochs, steps=steps, verbose=verbose)
    group.on_train_begin()
    for epoch in range(epochs):
        group.on_epoch_begin(epoch)
        for step in blocks:
            CLOCK.now += pause
            group.on_block_end(step, {"loss": 0.5, "accuracy": 0.25})
        if validate:
            group.on_test_begin()
            group.on_block_end(7, {"loss": 9.0})
            group.on_test_end({"loss": 9.0})
        group.on_epoch_end(epoch, {"loss": 0.23456, "accuracy": 0.9123, "val_loss": 1e-5})
    group.on_train_end()


def test_off_a_terminal_there_are_two_plain_lines_per_epoch(capsys):
    fit()
    out = capsys.readouterr().out
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", out)
    lines = out.splitlines()
    assert lines[::2] == ["Epoch 1/2", "Epoch 2/2"]
    metrics = "accuracy: 0.9123 - loss: 0.2346 - val_loss: 1.0000e-05"
    for line in lines[1::2]:
        assert TIMES.sub("T", line) == f"200/200 {'━' * 20} T T/step - {metrics}"


def test_one_epoch_has_no_heading_and_verbose_0_says_nothing(capsys):
    fit(epochs=1)
    assert "Epoch" not in capsys.readouterr().out
    fit(verbose=0)
    assert capsys.readouterr().out == ""


def test_auto_is_a_bar():
    logger = ProgbarLogger()
    logger.set_params({"verbose": "auto", "epochs": 3, "steps": None})
    assert (logger.verbose, logger.epochs, logger.target) == (1, 3, None)


@pytest.mark.parametrize("verbose", [1, 2])
@pytest.mark.parametrize("steps", [7, None])
def test_the_text_is_that_of_keras(capsys, verbose, steps):
    logs = {"loss": 0.5, "mae": 1e-4}

    def run(logger):
        logger.set_params({"verbose": verbose, "epochs": 3, "steps": steps})
        logger.on_train_begin()
        logger.on_epoch_begin(0)
        for batch in range(7):
            logger.on_train_batch_end(batch, logs)
            if hasattr(logger, "on_block_end"):
                logger.on_block_end(batch + 1, logs)
        logger.on_epoch_end(0, logs)
        out = re.sub(r"\x1b\[\d*m", "", capsys.readouterr().out)
        return [TIMES.sub("T", line).rstrip() for line in out.splitlines()]

    ours, theirs = run(ProgbarLogger()), run(keras.callbacks.ProgbarLogger())
    assert [ours[0], ours[-1]] == [theirs[0], theirs[-1]]


def test_evaluate_and_predict_have_a_line_of_their_own(capsys):
    group = CallbackList([], add_progbar=True, epochs=1, steps=3, verbose=1)
    group.on_test_begin()
    group.on_block_end(3, {"loss": 1.0})
    group.on_test_end({"loss": 1.0})
    group.on_predict_begin()
    group.on_block_end(3)
    group.on_predict_end()
    lines = [TIMES.sub("T", line) for line in capsys.readouterr().out.splitlines()]
    bar = f"3/3 {'━' * 20} T T/step"
    assert lines == [f"{bar} - loss: 1.0000", bar]


@pytest.mark.parametrize("value", [0.5, 1.0, 1e-3, -0.5, 0.0, 12345.678, 2, float("inf")])
def test_numbers_are_written_as_keras_writes_them(value, capsys):
    bar = keras.utils.Progbar(1, stateful_metrics=["m"])
    bar.update(1, [("m", value)])
    assert capsys.readouterr().out.rstrip().endswith(f"m: {number(value)}")


def test_a_small_negative_number_keeps_its_digits():
    assert number(-1e-5) == "-1.0000e-05"
    assert number([1.0, 2.0]) == "1.5000"


@pytest.mark.parametrize("option", [{}, {"stateful_metrics": ["b"]}, {"stateless_metrics": ["b"]}])
def test_averages_are_those_of_keras(option, capsys):
    ends = []
    for make in (Progbar, keras.utils.Progbar):
        bar = make(None, verbose=2, **option)
        bar.update(2, [("a", 1.0), ("b", 3.0)])
        bar.add(3, [("a", 2.0), ("b", 4.0)])
        ends.append(
            {k: v[0] / v[1] for k, v in (getattr(bar, "_sums", None) or bar._values).items()}
        )
        bar.target = 6
        bar.update(6, [("a", 8.0)])
        ends.append(TIMES.sub("T", capsys.readouterr().out))
    assert ends[:2] == ends[2:]


def test_both_lists_of_names_are_refused():
    with pytest.raises(ValueError, match="stateless_metrics must be None"):
        Progbar(3, stateful_metrics=["a"], stateless_metrics=["b"])


class Stream(io.StringIO):
    """A stream that fails, or knows only ASCII."""

    encoding = "ascii"

    def __init__(self, error=None):
        super().__init__()
        self.error = error

    def write(self, text):
        if self.error:
            raise self.error
        text.encode("ascii")
        return super().write(text)


@pytest.mark.parametrize(
    "error", [BrokenPipeError(), OSError(28, "disk full"), ValueError("closed")]
)
def test_training_survives_a_stream_that_fails(monkeypatch, error):
    monkeypatch.setattr(sys, "stdout", Stream(error))
    fit()
    console.say("still here")


def test_training_survives_a_stream_that_is_closed_or_absent(monkeypatch):
    closed = io.StringIO()
    closed.close()
    for stream in (closed, None):
        monkeypatch.setattr(sys, "stdout", stream)
        fit()


def test_an_ascii_stream_gets_another_bar(monkeypatch):
    stream = Stream()
    monkeypatch.setattr(sys, "stdout", stream)
    fit(epochs=1)
    assert stream.getvalue().startswith(f"200/200 {'=' * 20} ")


def test_a_reader_that_goes_away_does_not_end_the_training():
    script = textwrap.dedent(
        """
        import sys
        from talweg.callbacks import CallbackList
        group = CallbackList([], add_progbar=True, epochs=3000, steps=1, verbose=1)
        group.on_train_begin()
        for epoch in range(3000):
            group.on_epoch_begin(epoch)
            group.on_epoch_end(epoch, {"loss": 1.0})
        print("survived", file=sys.stderr)
        """
    )
    run = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    run.stdout.read(10)
    run.stdout.close()
    assert "survived" in run.stderr.read()
    run.wait()
    run.stderr.close()


def on_a_terminal(monkeypatch, width, body):
    """What `body` writes to a pseudo-terminal of a width."""
    master, slave = pty.openpty()
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm-256color")
    console._console.cache_clear()
    with os.fdopen(slave, "w", encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        body()
        # The kernel hands a terminal's output over in pieces: read up to a mark.
        stream.write("<end>")
        stream.flush()
        written = b""
        while not written.endswith(b"<end>"):
            written += os.read(master, 1 << 16)
        monkeypatch.undo()
    os.close(master)
    return written.removesuffix(b"<end>").decode()


def screen(written):
    """The lines that a terminal shows: carriage returns and erasures applied."""
    text = re.sub(r"\x1b\[[\d;]*m", "", written).replace("\r\n", "\n")
    return [re.split(r"\r|\x1b\[2K", line)[-1] for line in text.split("\n")]


def test_a_terminal_shows_a_live_line_and_keeps_the_final_one(monkeypatch):
    written = on_a_terminal(monkeypatch, 100, lambda: fit(epochs=1, pause=0.06))
    assert re.search(r"100/200 .*━.*accuracy: 0.2500 - loss: 0.5000", written)
    assert "━" * 10 in re.sub(r"\x1b\[[\d;]*m", "", written)
    lines = screen(written)
    assert lines[-1] == ""
    assert [TIMES.sub("T", line) for line in lines[:-1]] == [
        f"200/200 {'━' * 20} T T/step - accuracy: 0.9123 - loss: 0.2346 - val_loss: 1.0000e-05"
    ]


def test_redraws_are_rare(monkeypatch):
    written = on_a_terminal(monkeypatch, 100, lambda: fit(epochs=1, blocks=range(200), pause=0.001))
    assert written.count("\x1b[2K") <= 6


def test_short_epochs_draw_nothing_live(monkeypatch):
    assert "\x1b" not in on_a_terminal(monkeypatch, 100, fit)


def test_a_narrow_terminal_cuts_the_live_line(monkeypatch):
    written = on_a_terminal(monkeypatch, 30, lambda: fit(epochs=1, pause=0.06))
    live = [line for line in re.split(r"\r|\n", re.sub(r"\x1b\[[\d;]*[mK]", "", written)) if line]
    assert max(len(line) for line in live[:-1]) <= 29


def test_what_callbacks_say_takes_the_place_of_the_live_line(monkeypatch):
    def body():
        console.draw([("1/2 live", "")])
        console.say("a message")
        console.draw([("2/2 live", "")])
        CallbackList([]).on_epoch_end(0, {})
        sys.stdout.write("mine\n")

    assert screen(on_a_terminal(monkeypatch, 80, body)) == ["a message", "mine", ""]


def test_a_dumb_terminal_gets_plain_lines(monkeypatch):
    def body():
        os.environ["TERM"] = "dumb"
        fit(pause=0.06)

    assert "\x1b" not in on_a_terminal(monkeypatch, 80, body)


def test_an_epoch_costs_little(capsys):
    group = CallbackList([], add_history=True, add_progbar=True, epochs=1000, steps=200, verbose=1)
    logs = {"loss": 0.5, "accuracy": 0.9, "val_loss": 0.1, "learning_rate": 0.1}
    best = float("inf")
    for epoch in range(300):
        begin = time.perf_counter()
        group.on_epoch_begin(epoch)
        group.on_block_end(200, logs)
        group.on_epoch_end(epoch, logs)
        best = min(best, time.perf_counter() - begin)
    assert best < 100e-6
