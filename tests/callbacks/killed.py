"""Trainings that are interrupted anywhere; as a program, one that kills itself.

python killed.py FOLDER STEP     kill -9 after so many steps of this process
python killed.py FOLDER -STEP    kill -9 within the so-manieth backup of this process
python killed.py FOLDER hold     holds the folder, for both callbacks, until it is killed
"""

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

import talweg
from talweg import callbacks, layers
from talweg.core.events import RunStarted

ROWS, SIZE, EPOCHS = 40, 8, 4


class Stop(callbacks.Callback):
    """Does something after so many steps; with 0, at the first validation."""

    def __init__(self, step, deed):
        super().__init__()
        self.left, self.deed = step, deed

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            self.deed()

    def on_test_begin(self, logs=None):
        if self.left in (0, -5):
            self.deed()


class Faster(callbacks.Callback):
    """Changes the rate with every epoch and every batch: doing so twice would show."""

    def on_epoch_begin(self, epoch, logs=None):
        self.model.optimizer.learning_rate = float(self.model.optimizer.learning_rate) * 1.1

    def on_train_batch_end(self, batch, logs=None):
        self.model.optimizer.learning_rate = float(self.model.optimizer.learning_rate) * 0.99


def arrays():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, 4)).astype("f4")
    return x, x[:, :1] * 2 + 1


def made(seed=3):
    talweg.utils.set_random_seed(seed)
    model = talweg.Sequential(
        [talweg.Input((4,)), layers.Dense(8, "relu"), layers.Dropout(0.5), layers.Dense(1)]
    )
    model.compile(talweg.optimizers.Adam(0.01, use_ema=True), "mse", metrics=["mae"])
    return model


def train(folder, *more, data=None, seed=3, epochs=EPOCHS, **options):
    """Train with backups every 3 of 5 batches; the model."""
    model, (x, y) = made(seed), arrays()
    options = {"save_freq": 3, **options}
    model.fit(
        *([x, y] if data is None else [data]), batch_size=SIZE if data is None else None,
        epochs=epochs, verbose=0, validation_data=(x[:8], y[:8]),
        callbacks=[*more, callbacks.BackupAndRestore(folder, **options), Faster()],
    )  # fmt: skip
    return model


def same(mine, other):
    for a, b in zip(mine.variables, other.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    for a, b in zip(mine.optimizer.variables, other.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert mine.history.history == other.history.history
    assert mine.history.epoch == other.history.epoch


def hold(folder):
    """What writes into a folder, having begun."""
    backup, run = callbacks.BackupAndRestore(folder), callbacks.RunFolder(folder)
    backup.on_train_begin()
    run.on_event(RunStarted(step=0, epochs=1, steps_per_epoch=1))
    return backup, run


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def _main(folder, what):
    if what == "hold":
        held = hold(folder)
        print("ready", flush=True)
        time.sleep(600)
        del held
    if int(what) < 0:
        left, sync = -int(what), os.fsync

        def dying(descriptor):
            nonlocal left
            left -= not os.readlink(f"/proc/self/fd/{descriptor}").endswith((".lock", "b"))
            if left == 0:
                die()
            sync(descriptor)

        os.fsync = dying
        train(folder)
    train(folder, Stop(int(what), die))


if __name__ == "__main__":
    _main(Path(sys.argv[1]), sys.argv[2])
