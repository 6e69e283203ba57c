"""A write that fails, or that is killed, never costs the file that was there."""

import contextlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from saving import writes
from talweg import callbacks

pytest.importorskip("safetensors", reason="safetensors is not installed")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits and signals of Linux")
SCRIPT = Path(__file__).with_name("writes.py")


def run(deed, folder):
    return subprocess.run(
        [sys.executable, SCRIPT, deed, folder], capture_output=True, text=True, timeout=240
    )


def test_a_full_disk_is_an_error_at_every_byte_and_the_good_file_stays(tmp_path):
    done = run("full", tmp_path)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.battery
def test_kill_9_at_every_step_of_a_write_leaves_the_old_file_or_the_new_one(tmp_path):
    done = run("kill", tmp_path)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.battery
def test_kill_9_at_random_times_never_leaves_a_torn_file(tmp_path):
    draw = random.Random(0)
    for number in range(20):
        folder = tmp_path / str(number)
        folder.mkdir()
        child = subprocess.Popen(
            [sys.executable, SCRIPT, "forever", folder], stdout=subprocess.PIPE
        )
        assert child.stdout.readline() == b"ready\n"
        time.sleep(draw.uniform(0, 0.5))
        child.kill()
        child.wait()
        child.stdout.close()
        for name, (_, read) in writes.KINDS.items():
            found = writes.values(read(folder / name))
            assert len(found) == 1
            assert found <= {1.0, 2.0}


@pytest.fixture
def sealed():
    """A folder that cannot be written; who runs the tests as root is nobody for a while."""
    folder = Path(tempfile.mkdtemp())
    root = os.geteuid() == 0

    @contextlib.contextmanager
    def seal():
        folder.chmod(0o555)
        if root:
            os.seteuid(65534)
        try:
            yield
        finally:
            if root:
                os.seteuid(0)
            folder.chmod(0o755)

    yield folder, seal
    shutil.rmtree(folder)


@pytest.mark.parametrize("name", list(writes.KINDS))
def test_a_folder_that_cannot_be_written_is_an_error_and_keeps_its_file(sealed, name):
    folder, seal = sealed
    write, read = writes.KINDS[name]
    new = writes.made(2.0)
    write(writes.made(1.0), folder / name)
    with seal(), pytest.raises(PermissionError):
        write(new, folder / name)
    writes.check(folder, name, read, {1.0})
    assert [file.name for file in folder.iterdir()] == [name]
    assert writes.values(read(folder / name)) == {1.0}


@pytest.mark.parametrize(
    "saver",
    [
        lambda folder: callbacks.ModelCheckpoint(folder / "best.keras"),
        lambda folder: callbacks.ModelCheckpoint(folder / "below" / "{epoch}.keras"),
        lambda folder: callbacks.BackupAndRestore(folder),
        lambda folder: callbacks.BackupAndRestore(folder / "below"),
    ],
)
def test_fit_says_at_once_that_a_folder_cannot_be_written(sealed, saver):
    folder, seal = sealed
    model, x, y = writes.made(1.0), np.ones((4, 40), "f4"), np.ones((4, 1), "f4")
    seen = []
    watch = callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: seen.append(epoch))
    with seal(), pytest.raises(PermissionError):
        model.fit(x, y, verbose=0, callbacks=[saver(folder), watch])
    assert not seen
    assert writes.values(model) == {1.0}
