"""BackupAndRestore amid an epoch, and what happens to its folder."""

import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest

from callbacks import killed
from talweg import callbacks
from talweg.core.events import RunEnded, RunStarted
from talweg.data import PyDataset
from talweg.saving import DamagedFile, hdf5

SCRIPT = Path(killed.__file__)
linux = pytest.mark.skipif(sys.platform != "linux", reason="signals of Linux")


class Ended(RuntimeError):
    pass


def end():
    raise Ended


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return killed.train(tmp_path_factory.mktemp("whole"))


# -- amid an epoch ---------------------------------------------------------------------------


# 5 batches an epoch. A backup every 3: the first is amid the first epoch. One every 5: at
# its last batch, after which the validation comes.
@pytest.mark.sampled
@pytest.mark.parametrize(("freq", "steps"), [(3, [4, 5, 7]), (5, [0, 6])], ids=["amid", "last"])
def test_a_run_resumed_amid_an_epoch_ends_as_one_never_interrupted(whole, tmp_path, freq, steps):
    # After the first, another seed: what the program draws before it goes on must not matter.
    for seed, step in enumerate(steps, 3):
        with pytest.raises(Ended):
            killed.train(tmp_path / "b", killed.Stop(step, end), seed=seed, save_freq=freq)
    resumed = killed.train(tmp_path / "b", seed=77, save_freq=freq)
    killed.same(resumed, whole)
    assert int(resumed.optimizer.iterations) == 20
    assert not (tmp_path / "b").exists()


class Pairs(PyDataset):
    def __len__(self):
        return 5

    def __getitem__(self, index):
        x, y = killed.arrays()
        rows = slice(index * 8, index * 8 + 8)
        return x[rows], y[rows]


class Unknown:
    """A stream whose length nobody knows before its end."""

    def __iter__(self):
        pairs = Pairs()
        return (pairs[i] for i in range(5))


@pytest.mark.sampled
@pytest.mark.parametrize("data", [Pairs, Unknown])
@pytest.mark.parametrize(("freq", "step"), [(3, 4), (5, 0)])
def test_streams_go_on_amid_an_epoch(tmp_path, data, freq, step):
    whole = killed.train(tmp_path / "a", data=data(), epochs=2)
    with pytest.raises(Ended):
        killed.train(tmp_path / "b", killed.Stop(step, end), data=data(), epochs=2, save_freq=freq)
    killed.same(killed.train(tmp_path / "b", data=data(), epochs=2, seed=7, save_freq=freq), whole)


@pytest.mark.battery
@linux
def test_kill_9_amid_an_epoch_and_amid_a_backup_costs_at_most_one_interval(whole, tmp_path):
    for what in ("7", "-2"):
        done = subprocess.run(
            [sys.executable, SCRIPT, tmp_path / "b", what], capture_output=True, text=True
        )
        assert done.returncode == -9, done.stderr
    seen = []
    count = callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(batch))
    killed.same(killed.train(tmp_path / "b", count), whole)
    # 7 steps, of which 6 were saved; 6 more, of which the second backup came to nothing.
    assert len(seen) == 20 - 6 - 3


@linux
@pytest.mark.battery
def test_kill_9_at_every_step_and_backup(whole, tmp_path):
    for number in range(1, 9):
        for what in (str(number), str(-number)):
            folder = tmp_path / what
            for _ in range(2):
                subprocess.run([sys.executable, SCRIPT, folder, what], check=False)
            killed.same(killed.train(folder), whole)


@pytest.mark.parametrize("folder", ["", None])
def test_no_folder_is_refused(folder):
    with pytest.raises(ValueError, match="backup_dir"):
        callbacks.BackupAndRestore(folder)


@pytest.mark.parametrize("freq", [0, -1, 1.5, True, "batch"])
def test_impossible_frequencies_are_refused(freq):
    with pytest.raises(ValueError, match="save_freq"):
        callbacks.BackupAndRestore("b", save_freq=freq)


# -- what a backup must tell of itself ---------------------------------------------------------


def restored(folder, model, **options):
    """Which epoch a new run in the folder would begin with; the model has its state."""
    backup = callbacks.BackupAndRestore(folder, **options)
    run = callbacks.CallbackList([backup], model=model)
    run.on_train_begin()
    try:
        return run.epochs_left(range(9)).start
    finally:
        backup._release()


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A folder with the backups after the second and the third epoch."""
    folder = tmp_path_factory.mktemp("kept") / "b"
    options = {"save_freq": "epoch", "double_checkpoint": True}
    with pytest.raises(Ended):
        killed.train(folder, killed.Stop(17, end), **options)
    return folder


@pytest.fixture
def folder(kept, tmp_path):
    return shutil.copytree(kept, tmp_path / "b")


@pytest.fixture(scope="module")
def model():
    model, (x, y) = killed.made(), killed.arrays()
    model.fit(x, y, batch_size=8, verbose=0)
    return model


def changed(path, change):
    """Change what a backup tells, and let its checksum be right."""
    with h5py.File(path, "r+") as file:
        told = json.loads(bytes(file["told/vars/0"][:]))
        change(told)
        del file["told"]
        text = np.frombuffer(json.dumps(told).encode(), np.uint8)
        hdf5.write(file, "told", "told", {"0": text})


def wrong_hash(path):
    with h5py.File(path, "r+") as file:
        file["cells/vars/0"][0, 0] += 1


def missing_part(path):
    with h5py.File(path, "r+") as file:
        del file["cells/vars/3"]


def of_another_run(path):
    changed(path, lambda told: told.update(run="0123456789abcdef"))


def of_the_future(path):
    changed(path, lambda told: told.update(version=told["version"] + 1))


FAULTS = [
    (wrong_hash, "checksum"), (missing_part, "Missing"), (of_another_run, "another run"),
    (of_the_future, "has version 3; this talweg reads 2"),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "match"), FAULTS)
def test_a_fault_falls_back_with_a_warning_and_is_an_error_without_another(
    folder, model, fault, match
):
    assert restored(folder, model) == 3
    fault(folder / "latest.h5")
    with pytest.raises(DamagedFile if fault is not missing_part else ValueError, match=match):
        model.restore_state(folder / "latest.h5", folder.joinpath("run.lock").read_text()[:16])
    with pytest.warns(UserWarning, match=match):
        assert restored(folder, model) == 2
    # The sound one is the latest now: the next save cannot push it out.
    assert not (folder / "previous.h5").exists()
    assert restored(folder, model) == 2
    fault(folder / "latest.h5")
    with pytest.raises(ValueError, match=match):
        restored(folder, model)


def test_a_lost_or_damaged_name_of_the_run_is_no_fault_of_the_backups(folder, model):
    for text in (None, "", "0123456789abcdef 1", "\0" * 20):
        lock = folder / "run.lock"
        lock.unlink() if text is None else lock.write_text(text)
        assert restored(folder, model) == 3
    of_another_run(folder / "latest.h5")
    with pytest.warns(UserWarning, match="another run"):
        assert restored(folder, model) == 2


def test_cut_or_flipped_anywhere_the_state_is_that_of_one_of_the_two(folder, model):
    content = (folder / "latest.h5").read_bytes()
    states = {}
    for name, epoch in (("previous.h5", 2), ("latest.h5", 3)):
        model.restore_state(folder / name)
        states[epoch] = [np.array(v) for v in [*model.variables, *model.optimizer.variables]]
    rng = np.random.default_rng(0)
    damages = [content[: int(len(content) * part)] for part in (0, 0.1, 0.5, 0.9, 0.999)]
    for place in rng.integers(0, len(content), 30):
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(rng.integers(8))
        damages.append(bytes(flipped))
    fell = 0
    previous = (folder / "previous.h5").read_bytes()
    for damage in damages:
        (folder / "latest.h5").write_bytes(damage)
        (folder / "previous.h5").write_bytes(previous)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            epoch = restored(folder, model)
        assert len(caught) == (epoch == 2)
        fell += epoch == 2
        found = [*model.variables, *model.optimizer.variables]
        for mine, other in zip(found, states[epoch], strict=True):
            np.testing.assert_array_equal(mine, other)
    assert fell > 10


def test_the_newest_is_so_by_its_steps_whatever_the_clock_says(folder, model):
    os.utime(folder / "latest.h5", (0, 0))
    assert restored(folder, model) == 3


def test_a_full_disk_ends_fit_and_keeps_the_backup_before(whole, tmp_path, monkeypatch):
    replace, left = os.replace, 3

    def full(source, target):
        nonlocal left
        left -= Path(source).suffix == ".tmp"
        if left == 0:
            raise OSError(28, "No space left on device")
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(OSError, match="No space"):
            killed.train(tmp_path / "b", double_checkpoint=True)
    killed.same(killed.train(tmp_path / "b", double_checkpoint=True), whole)


# -- two writers ------------------------------------------------------------------------------


def test_a_second_training_in_the_folder_is_refused(tmp_path):
    def second():
        with pytest.raises(BlockingIOError, match="written by another training"):
            killed.train(tmp_path / "b", epochs=1)
        end()

    with pytest.raises(Ended):
        killed.train(tmp_path / "b", killed.Stop(1, second), epochs=1)
    killed.train(tmp_path / "b", epochs=1)  # one that failed holds nothing


@linux
def test_the_lock_of_another_process_holds_until_it_dies(tmp_path):
    other = subprocess.Popen(
        [sys.executable, SCRIPT, tmp_path, "hold"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout.readline() == "ready\n"
        with pytest.raises(BlockingIOError, match=r"BackupAndRestore: .* written by another"):
            callbacks.BackupAndRestore(tmp_path).on_train_begin()
        with pytest.raises(BlockingIOError, match=r"RunFolder: .* written by another"):
            callbacks.RunFolder(tmp_path).on_event(RunStarted(step=0, epochs=1, steps_per_epoch=1))
    finally:
        other.kill()
        other.wait()
        other.stdout.close()
    for callback in killed.hold(tmp_path):
        callback.on_event(RunEnded(step=0, reason="finished"))
    assert [file.name for file in tmp_path.glob("*.lock")] == ["run.lock"]
