"""CSVLogger against Keras's file, RemoteMonitor against a server, SwapEMAWeights."""

import http.server
import json
import math
import socket
import threading
import time
import urllib.parse

import jax.numpy as jnp
import keras
import numpy as np
import pytest

from callbacks.fakes import FakeModel
from talweg import callbacks
from talweg.core.variables import Variable
from talweg.optimizers import SGD

LOGS = [
    {"loss": 1.0, "acc": 0.5},
    {"loss": 0.5, "acc": 0.25, "val_loss": 0.75, "val_acc": 1e-7},
    {"loss": float("nan"), "acc": 0.0},
    {"loss": 0.125, "acc": np.array([1, 2]), "text": "a,b"},
]


def write(callback, epochs):
    callback.on_train_begin()
    for epoch in epochs:
        callback.on_epoch_end(epoch, dict(LOGS[epoch]))
    callback.on_train_end()


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.filterwarnings("ignore:CSVLogger")
def test_the_file_is_that_of_keras(tmp_path, separator):
    # (Keras refuses keys that appear late; the first three epochs have none.)
    for module, name in ((callbacks, "ours"), (keras.callbacks, "theirs")):
        write(module.CSVLogger(tmp_path / name, separator), range(3))
        write(module.CSVLogger(tmp_path / name, separator, append=True), range(1, 3))
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    header = (tmp_path / "ours").read_text().splitlines()[0]
    assert header.split(separator) == ["epoch", "acc", "loss", "val_acc", "val_loss"]


def test_appending_keeps_the_columns_of_the_file(tmp_path):
    path = tmp_path / "run.csv"
    path.write_text("epoch,val_loss,loss\n0,3.0,2.0\n")
    with pytest.warns(UserWarning, match="no column for acc, val_acc"):
        write(callbacks.CSVLogger(path, append=True), [1])
    assert path.read_text().splitlines() == ["epoch,val_loss,loss", "0,3.0,2.0", "1,0.75,0.5"]


def test_lines_are_on_the_disk_at_once_and_the_rate_gets_no_validation_column(tmp_path):
    path = tmp_path / "run.csv"
    callback = callbacks.CSVLogger(str(path))
    callback.on_train_begin()
    callback.on_epoch_end(0, {"loss": 1.0, "learning_rate": 0.1})
    assert path.read_text().splitlines() == ["epoch,learning_rate,loss,val_loss", "0,0.1,1.0,NA"]
    callback.on_train_end()


def test_a_new_run_overwrites_and_an_unwritable_path_fails_at_the_beginning(tmp_path):
    path = tmp_path / "run.csv"
    callback = callbacks.CSVLogger(path)
    write(callback, [0])
    write(callback, [0])
    assert len(path.read_text().splitlines()) == 2
    with pytest.raises(FileNotFoundError):
        callbacks.CSVLogger(tmp_path / "missing" / "run.csv").on_train_begin()


@pytest.fixture
def server():
    """A server that keeps the requests; `status` is what it answers, `delay` how late."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.server.requests.append((self.path, dict(self.headers), body))
            time.sleep(self.server.delay)
            self.send_response(self.server.status)
            self.end_headers()

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.requests, running.status, running.delay = [], 200, 0.0
        running.root = f"http://127.0.0.1:{running.server_port}"
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_epochs_are_posted_as_a_form_or_as_json(server):
    logs = {"loss": 0.5, "acc": np.float32(1.0), "val_loss": math.nan}
    callbacks.RemoteMonitor(server.root, field="f").on_epoch_end(3, logs)
    callbacks.RemoteMonitor(
        server.root, path="/x", headers={"X-Key": "k"}, send_as_json=True
    ).on_epoch_end(4, logs)
    expected = {"loss": 0.5, "acc": 1.0, "val_loss": None}
    (path, headers, body), (path_2, headers_2, body_2) = server.requests
    assert path == "/publish/epoch/end/"
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert json.loads(urllib.parse.parse_qs(body)["f"][0]) == {"epoch": 3, **expected}
    assert (path_2, headers_2["X-Key"]) == ("/x", "k")
    assert headers_2["Content-Type"] == "application/json"
    assert json.loads(body_2) == {"epoch": 4, **expected}


def test_a_refusal_is_a_warning(server):
    server.status = 500
    with pytest.warns(UserWarning, match=r"could not post to http.*500"):
        callbacks.RemoteMonitor(server.root).on_epoch_end(0, {})


def test_an_answer_that_is_no_http_is_a_warning():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"hello\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        port = listener.getsockname()[1]
        with pytest.warns(UserWarning, match="could not post"):
            callbacks.RemoteMonitor(f"http://127.0.0.1:{port}").on_epoch_end(0, {"loss": 1.0})
        thread.join()


def test_a_server_that_hangs_costs_little(server, monkeypatch):
    server.delay = 0.3
    monkeypatch.setattr("talweg.callbacks.remote_monitor._TIMEOUT", 0.05)
    callback = callbacks.RemoteMonitor(server.root)
    begin = time.monotonic()
    with pytest.warns(UserWarning, match="could not post"):
        callback.on_epoch_end(0, {})
    for epoch in range(1, 50):
        callback.on_epoch_end(epoch, {})
    assert time.monotonic() - begin < 0.5
    assert len(server.requests) == 1


def test_nobody_there_is_a_warning_and_other_schemes_are_refused():
    with pytest.warns(UserWarning, match="could not post"):
        callbacks.RemoteMonitor("http://127.0.0.1:9").on_epoch_end(0, {"loss": 1.0})
    with pytest.raises(ValueError, match="root must be http"):
        callbacks.RemoteMonitor("file:///etc/passwd")


class Averaging:
    """What SwapEMAWeights needs of an optimizer; one variable at 1, its average at 2."""

    use_ema = True
    built = True

    def __init__(self):
        self.trainable_variables = [Variable([1.0], name="w")]
        self.average_variables = [Variable([2.0], name="average")]

    @property
    def values(self):
        cells = self.trainable_variables + self.average_variables
        return [float(cell.value[0]) for cell in cells]

    def finalize(self):
        self.trainable_variables[0].assign(self.average_variables[0].value)


def swapping(**options):
    callback = callbacks.SwapEMAWeights(**options)
    optimizer = Averaging()
    callback.set_model(FakeModel(optimizer))
    callback.set_params({"epochs": 2, "steps": 1, "verbose": 0})
    callback.on_train_begin()
    return callback, optimizer


@pytest.mark.parametrize("mode", ["test", "predict"])
def test_the_averages_are_in_the_model_during_an_evaluation_only(mode):
    callback, optimizer = swapping()
    getattr(callback, f"on_{mode}_begin")()
    assert optimizer.values == [2.0, 2.0]
    average, variable = optimizer.average_variables[0], optimizer.trainable_variables[0]
    assert average.value.unsafe_buffer_pointer() != variable.value.unsafe_buffer_pointer()
    getattr(callback, f"on_{mode}_end")()
    assert optimizer.values == [1.0, 2.0]


def test_with_swap_on_epoch_the_averages_stay_until_the_next_epoch():
    callback, optimizer = swapping(swap_on_epoch=True)
    callback.on_epoch_begin(0)
    assert optimizer.values == [1.0, 2.0]
    callback.on_test_begin()
    assert optimizer.values == [2.0, 2.0]
    callback.on_test_end()
    assert optimizer.values == [1.0, 2.0]
    callback.on_epoch_end(0)
    assert optimizer.values == [2.0, 2.0]
    callback.on_epoch_begin(1)
    assert optimizer.values == [1.0, 2.0]


@pytest.mark.parametrize("last", [0, 1])
def test_training_ends_with_the_averages_also_when_stopped_early(last):
    callback, optimizer = swapping(swap_on_epoch=True)
    for epoch in range(last + 1):
        callback.on_epoch_begin(epoch)
        callback.on_epoch_end(epoch)
    optimizer.finalize()  # what fit does at its end
    assert optimizer.values == [2.0, 2.0]


def test_wrapped_and_several_optimizers_are_found():
    class Plain:
        use_ema = False

    class Several:
        optimizers = (Plain(), Averaging())

    class Scaled:
        inner_optimizer = Averaging()

    for outer, inner in ((Several, Several.optimizers[1]), (Scaled, Scaled.inner_optimizer)):
        callback = callbacks.SwapEMAWeights()
        callback.set_model(FakeModel(outer()))
        callback.on_test_begin()
        assert inner.values == [2.0, 2.0]


def test_an_optimizer_of_talweg_is_swapped():
    optimizer = SGD(0.5, use_ema=True, ema_momentum=0.5)
    weight = Variable([1.0], name="w")
    callback = callbacks.SwapEMAWeights()
    callback.set_model(FakeModel(optimizer))
    callback.on_test_begin()  # before the first step: nothing to swap
    callback.on_test_end()
    optimizer.build([weight])
    for _ in range(3):
        optimizer.apply_gradients([(jnp.ones(1), weight)])
    trained, average = float(weight.value[0]), float(optimizer.average_variables[0].value[0])
    assert trained == -0.5 < average
    callback.on_test_begin()
    assert float(weight.value[0]) == average
    callback.on_test_end()
    assert float(weight.value[0]) == trained


@pytest.mark.parametrize("optimizer", [None, SGD(0.1)])
def test_an_optimizer_without_averages_is_refused(optimizer):
    callback = callbacks.SwapEMAWeights()
    callback.set_model(FakeModel(optimizer))
    with pytest.raises(ValueError, match="use_ema=True"):
        callback.on_test_begin()
