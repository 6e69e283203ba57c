"""ModelCheckpoint and BackupAndRestore."""

import math

import numpy as np
import pytest

import talweg
from talweg import callbacks, layers
from talweg.core.events import CheckpointSaved


def made(seed=3):
    talweg.utils.set_random_seed(seed)
    model = talweg.Sequential(
        [talweg.Input((4,)), layers.Dense(8, "relu"), layers.Dropout(0.5), layers.Dense(1)]
    )
    model.compile(talweg.optimizers.Adam(0.01), "mse", metrics=["mae"])
    return model


def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 4)).astype("f4")
    return x, x[:, :1] * 2


class Told(callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.events = []

    def on_event(self, event):
        self.events.append(event)


class Ended(RuntimeError):
    pass


class Killed(callbacks.Callback):
    """Ends the program in the middle of an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise Ended


class Scripted(callbacks.Callback):
    """Puts numbers into the logs, before those that watch them."""

    def __init__(self, values):
        super().__init__()
        self.values = values

    def on_epoch_end(self, epoch, logs=None):
        logs["val_loss"] = self.values[epoch]


def checkpoint(tmp_path, values, **options):
    name = options.pop("name", "{epoch:02d}.keras")
    saver = callbacks.ModelCheckpoint(tmp_path / name, **options)
    saver.set_model(made())
    saver.model.fit(*data(), verbose=0)
    for epoch, value in enumerate(values):
        saver.on_epoch_begin(epoch)
        saver.on_epoch_end(epoch, {"loss": 1.0, "val_loss": value, "acc": value})
    return saver, sorted(file.name for file in tmp_path.iterdir())


def test_every_epoch_is_saved_under_its_name(tmp_path):
    _, names = checkpoint(tmp_path, [3.0, 2.0], name="{epoch:02d}-{val_loss:.1f}.keras")
    assert names == ["01-3.0.keras", "02-2.0.keras"]


@pytest.mark.filterwarnings("ignore:ModelCheckpoint:UserWarning")
def test_only_the_best_is_saved_and_nan_is_never_best(tmp_path):
    saver, names = checkpoint(tmp_path, [math.nan, 2.0, 3.0, math.nan, 1.0], save_best_only=True)
    assert names == ["02.keras", "05.keras"]
    assert saver.best == 1.0
    assert saver.state()["best"] == 1.0


@pytest.mark.filterwarnings("ignore:ModelCheckpoint.*have no:UserWarning")
def test_without_the_number_every_epoch_is_saved_until_there_was_a_best(tmp_path):
    saver = callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras", save_best_only=True)
    saver.set_model(made())
    saver.model.fit(*data(), verbose=0)
    for epoch, logs in enumerate([{}, {}, {"val_loss": 2.0}, {}, {"val_loss": 1.0}]):
        saver.on_epoch_end(epoch, logs)
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names == ["1.keras", "2.keras", "3.keras", "5.keras"]


def test_mode_max_and_a_threshold_to_beat(tmp_path):
    options = {"monitor": "acc", "mode": "max", "initial_value_threshold": 0.5}
    _, names = checkpoint(tmp_path, [0.4, 0.6, 0.5, 0.7], save_best_only=True, **options)
    assert names == ["02.keras", "04.keras"]


def test_batches_are_counted_across_epochs_and_the_event_is_told(tmp_path):
    told, model = Told(), made()
    saver = callbacks.ModelCheckpoint(
        tmp_path / "{epoch}-{batch}.weights.h5", save_weights_only=True, save_freq=3
    )
    model.fit(*data(), batch_size=16, epochs=3, verbose=0, callbacks=[saver, told])
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names == [f"{n}.weights.h5" for n in ("1-3", "2-2", "3-1", "3-4")]
    saved = [event for event in told.events if isinstance(event, CheckpointSaved)]
    assert [event.step for event in saved] == [3, 6, 9, 12]


def test_the_file_holds_the_model_of_that_epoch(tmp_path):
    model = made()
    saver = callbacks.ModelCheckpoint(tmp_path / "m.keras")
    model.fit(*data(), epochs=2, verbose=0, callbacks=saver)
    again = talweg.models.load_model(tmp_path / "m.keras")
    for mine, other in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, other)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"filepath": "m.tf"}, r"\.keras or \.h5 or \.hdf5"),
        ({"filepath": "m.keras", "save_weights_only": True}, r"\.weights\.h5"),
        ({"filepath": "m.keras", "save_freq": 0}, "save_freq"),
        ({"filepath": "m.keras", "save_freq": "batch"}, "save_freq"),
    ],
)
def test_impossible_options_are_refused(options, match):
    with pytest.raises(ValueError, match=match):
        callbacks.ModelCheckpoint(**options)


def test_an_unknown_placeholder_is_named(tmp_path):
    with pytest.raises(ValueError, match="val_los"):
        checkpoint(tmp_path, [1.0], name="{val_los:.2f}.keras")


# -- BackupAndRestore ------------------------------------------------------------------------


def run(folder, killed=None, seed=3, epochs=6, **options):
    model = made(seed)
    plateau = callbacks.ReduceLROnPlateau(monitor="loss", factor=0.5, patience=0, min_delta=10)
    stop = [Killed(killed)] if killed is not None else []
    backup = callbacks.BackupAndRestore(folder, **options)
    model.fit(
        *data(), batch_size=16, epochs=epochs, verbose=0, callbacks=[backup, plateau, *stop],
        validation_split=0.25,
    )  # fmt: skip
    return model


def test_a_resumed_run_ends_as_one_that_was_never_interrupted(tmp_path):
    whole = run(tmp_path / "a")
    for kill in (2, 4):
        with pytest.raises(Ended):
            run(tmp_path / "b", killed=kill)
    # Another seed: what the program draws before the resume must not matter.
    resumed = run(tmp_path / "b", seed=77)
    for mine, other in zip(resumed.variables, whole.variables, strict=True):
        np.testing.assert_array_equal(mine.numpy(), other.numpy())
    for mine, other in zip(resumed.optimizer.variables, whole.optimizer.variables, strict=True):
        np.testing.assert_array_equal(mine.numpy(), other.numpy())
    assert resumed.history.history == whole.history.history
    assert resumed.history.epoch == list(range(6))
    assert not (tmp_path / "b").exists()


def test_what_a_killed_run_left_half_written_is_removed(tmp_path):
    half = tmp_path / ".latest.h5.0123456789ab.tmp"
    half.write_bytes(b"half")
    with pytest.raises(Ended):
        run(tmp_path, killed=1)
    assert {file.name for file in tmp_path.iterdir()} == {"latest.h5", "run.lock"}


def test_a_damaged_backup_falls_back_to_the_one_before_it(tmp_path):
    whole = run(tmp_path / "a")
    with pytest.raises(Ended):
        run(tmp_path / "b", killed=4, double_checkpoint=True)
    latest = tmp_path / "b" / "latest.h5"
    content = bytearray(latest.read_bytes())
    latest.write_bytes(content[: len(content) // 2])
    with pytest.warns(UserWarning, match="The one before it was taken"):
        resumed = run(tmp_path / "b", double_checkpoint=True)
    for mine, other in zip(resumed.variables, whole.variables, strict=True):
        np.testing.assert_array_equal(mine.numpy(), other.numpy())


def test_a_backup_that_is_damaged_or_of_another_model_is_an_error(tmp_path):
    with pytest.raises(Ended):
        run(tmp_path / "b", killed=3)
    model = talweg.Sequential([talweg.Input((4,)), layers.Dense(1)])
    model.compile("adam", "mse")
    with pytest.raises(ValueError, match="cells"):
        model.fit(*data(), verbose=0, callbacks=callbacks.BackupAndRestore(tmp_path / "b"))
    (tmp_path / "b" / "latest.h5").write_bytes(b"")
    with pytest.raises(ValueError, match=r"latest\.h5"):
        run(tmp_path / "b")


def test_a_run_that_stopped_early_is_not_trained_on(tmp_path):
    class Stop(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    class Fails(callbacks.Callback):
        def on_train_end(self, logs=None):
            raise Ended

    def train(*more):
        model = made()
        backup = callbacks.BackupAndRestore(tmp_path / "b")
        model.fit(*data(), epochs=5, verbose=0, callbacks=[*more, backup, Stop()])
        return model

    with pytest.raises(Ended):
        train(Fails())
    assert train().history.epoch == [0, 1]


def test_blocks_end_where_a_file_is_due_and_nowhere_else(tmp_path):
    blocks = []

    class Blocks(callbacks.Callback):
        def on_block_end(self, step, logs=None):
            blocks.append(step)

    def files(folder, *others):
        model = talweg.Sequential([talweg.Input((2,)), talweg.layers.Dense(1)])
        model.set_weights([np.ones((2, 1)), np.zeros(1)])
        model.compile("sgd", "mse")
        x = np.random.default_rng(0).normal(size=(12, 2)).astype("float32")
        saver = callbacks.ModelCheckpoint(
            tmp_path / folder / "{epoch}-{batch}.weights.h5", save_weights_only=True, save_freq=4
        )
        model.fit(
            x, x[:, :1], batch_size=2, epochs=2, shuffle=False, verbose=0,
            callbacks=[saver, *others],
        )  # fmt: skip
        found = {}
        for path in sorted((tmp_path / folder).iterdir()):
            model.load_weights(path)
            found[path.name] = np.concatenate([w.ravel() for w in model.get_weights()]).tolist()
        return found

    in_blocks = files("a", Blocks())
    assert blocks == [4, 6, 2, 6]
    assert list(in_blocks) == ["1-4.weights.h5", "2-2.weights.h5", "2-6.weights.h5"]
    stepwise = files("b", callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None))
    assert in_blocks.keys() == stepwise.keys()
    for name, weights in in_blocks.items():
        assert weights == pytest.approx(stepwise[name], rel=1e-6)
