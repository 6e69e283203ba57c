"""What happens in a training, for TensorBoard."""

import json
import os
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np

from talweg.callbacks.base import Callback, Logs
from talweg.callbacks.event_file import EventFile
from talweg.core import config, errors

# As many as TensorFlow writes by default.
_IMAGES_OF_A_WEIGHT = 3


class TensorBoard(Callback):
    """Writes losses, metrics, the rate, weights and the model's graph for TensorBoard.

    Training values are in `log_dir/train`, those of validation in `log_dir/validation`, under
    Keras's names: epoch_loss, epoch_learning_rate, batch_loss, evaluation_loss_vs_iterations,
    and so on. Look at them with `tensorboard --logdir logs`. A disk that fills up costs the
    log, not the training.

    Args:
        log_dir: the folder.
        histogram_freq: every how many epochs the weights' distribution is written; 0 never.
        write_graph: whether the layers' graph is.
        write_images: whether weights are, as images, together with their histograms.
        write_steps_per_second: whether the speed is, of epochs and of batches.
        update_freq: "epoch", or every how many batches losses and metrics are written, too;
            "batch" is 1.
        profile_batch: a batch, or a pair (first, last), whose run is traced for the profiler;
            the training takes one step at a time then. 0 traces none.
        embeddings_freq: every how many epochs the weights of Embedding layers are written for
            the projector; 0 never.
        embeddings_metadata: a file that names the rows of the embeddings, or such files by
            name of the layer.

    Raises:
        ValueError: a frequency is out of range; a layer named in `embeddings_metadata` is none.
        MissingExtraError: tensorboardX is not installed; `pip install "talweg[tensorboard]"`.

    >>> import tempfile, talweg, numpy as np
    >>> logs = tempfile.mkdtemp()
    >>> model = talweg.Sequential([talweg.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> board = TensorBoard(logs)
    >>> _ = model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0, callbacks=[board])
    >>> os.listdir(logs)
    ['train']
    """

    reads: Literal["logs", "weights"] = "logs"  # type: ignore[misc]

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: Literal["epoch", "batch"] | int = "epoch",
        profile_batch: int | str | tuple[int, int] = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: str | Mapping[str, str] | None = None,
    ):
        super().__init__()
        errors.extra("tensorboardX", "tensorboard", "callbacks.TensorBoard")
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq = _frequency("histogram_freq", histogram_freq)
        self.write_graph = write_graph
        self.write_images = write_images
        self.write_steps_per_second = write_steps_per_second
        self.update_freq = 1 if update_freq == "batch" else update_freq
        if self.update_freq != "epoch":
            _frequency("update_freq", self.update_freq, 1)
        self.embeddings_freq = _frequency("embeddings_freq", embeddings_freq)
        self.embeddings_metadata = embeddings_metadata
        self._first_traced, self._last_traced = _batches_to_trace(profile_batch)
        if self._first_traced:
            self.reads = "weights"
        self._files: dict[str, EventFile] = {}
        self._tracing = False
        self._batch = self._batch_of_block = self._step_of_epoch = 0
        self._epoch_began = self._block_ended = 0.0

    @property
    def has_batch_hooks(self) -> bool:
        """Whether anything is done batch by batch: only where `update_freq` asks for it."""
        return self.update_freq != "epoch" or self._first_traced > 0

    def _file(self, run: str) -> EventFile:
        """The file of "train" or "validation", made when something is written."""
        if run not in self._files:
            self._files[run] = EventFile(Path(self.log_dir) / run)
        return self._files[run]

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        self._close()
        if self.embeddings_freq:
            self._write_projector()
        if self.write_graph:
            self._write_graph(model)

    def _write_graph(self, model: Any) -> None:
        try:
            described = model.to_json()
        except (AttributeError, TypeError, ValueError) as error:
            warnings.warn(f"TensorBoard: the graph is not written. {error}", stacklevel=3)
            return
        # The plugin draws models of these two kinds.
        if json.loads(described)["class_name"] in ("Sequential", "Functional"):
            self._file("train").text("keras", "graph_keras_model", described, 0)

    # -- training ------------------------------------------------------------------------

    def on_train_begin(self, logs: Logs = None) -> None:
        self._batch = self._batch_of_block = 0
        self._block_ended = time.perf_counter()
        self._file("train").flush()

    def on_train_end(self, logs: Logs = None) -> None:
        self._stop_trace()
        self._close()

    def _close(self) -> None:
        for file in self._files.values():
            file.close()
        self._files = {}

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        super().on_train_batch_begin(batch, logs)
        if self._batch + 1 == self._first_traced:
            self._file("train").flush()
            jax.profiler.start_trace(str(Path(self.log_dir) / "train"))
            self._tracing = True

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        super().on_train_batch_end(batch, logs)
        self._batch += 1
        if self._batch == self._last_traced:
            self._stop_trace()
        if self._writes(self._batch):
            for name, value in (logs or {}).items():
                self._file("train").scalar(f"batch_{name}", value, self._batch)

    def _writes(self, batch: int) -> bool:
        return self.update_freq != "epoch" and batch % int(self.update_freq) == 0

    def on_block_end(self, step: int, logs: Logs = None) -> None:
        now = time.perf_counter()
        new = range(self._batch_of_block + 1, self._batch + 1)
        if self.write_steps_per_second and now > self._block_ended:
            rate = len(new) / (now - self._block_ended)
            for batch in filter(self._writes, new):
                self._file("train").scalar("batch_steps_per_second", rate, batch)
        self._batch_of_block, self._block_ended = self._batch, now

    def _stop_trace(self) -> None:
        if self._tracing:
            jax.profiler.stop_trace()
            self._tracing = False

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch_began = self._block_ended = time.perf_counter()
        self._step_of_epoch = int(self.model.optimizer.iterations)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        logs = logs or {}
        training = {name: value for name, value in logs.items() if not name.startswith("val_")}
        training |= _rates(self.model.optimizer)
        if self.write_steps_per_second:
            steps = int(self.model.optimizer.iterations) - self._step_of_epoch
            training["steps_per_second"] = steps / (time.perf_counter() - self._epoch_began)
        for name, value in training.items():
            self._file("train").scalar(f"epoch_{name}", value, epoch)
        for name in logs.keys() - training.keys():
            value, short = logs[name], name.removeprefix("val_")
            self._file("validation").scalar(f"epoch_{short}", value, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._write_weights(epoch)
        if self.embeddings_freq and epoch % self.embeddings_freq == 0:
            self._write_embeddings()
        for file in self._files.values():
            file.flush()

    def on_test_end(self, logs: Logs = None) -> None:
        optimizer = getattr(self.model, "optimizer", None)
        if optimizer is None:
            return
        step = int(optimizer.iterations)
        for name, value in (logs or {}).items():
            self._file("validation").scalar(f"evaluation_{name}_vs_iterations", value, step)
        self._file("validation").flush()

    # -- weights -------------------------------------------------------------------------

    def _write_weights(self, epoch: int) -> None:
        file = self._file("train")
        for layer in self.model.layers:
            for weight in layer.weights:
                values = np.asarray(weight.value).astype("float32")
                file.histogram(f"{weight.path}/histogram", values, epoch)
                images = _as_images(values) if self.write_images else None
                if images is not None:
                    file.images(f"{weight.path}/image", images[:_IMAGES_OF_A_WEIGHT], epoch)

    def _embeddings(self) -> dict[str, Any]:
        """The tables of Embedding layers by name of the layer."""
        tables = {layer.name: getattr(layer, "embeddings", None) for layer in self.model.layers}
        return {name: table for name, table in tables.items() if table is not None}

    def _write_projector(self) -> None:
        given, names = self.embeddings_metadata or {}, self._embeddings()
        if not isinstance(given, str):
            for name in given:
                if name not in names:
                    raise errors.unknown("layer in embeddings_metadata", name, names)
        lines = []
        for name in names:
            metadata = given if isinstance(given, str) else given.get(name)
            lines += ["embeddings {", f"  tensor_name: {json.dumps(name)}"]
            lines += [f"  tensor_path: {json.dumps(_table_of(name))}"]
            lines += [f"  metadata_path: {json.dumps(metadata)}"] if metadata else []
            lines += ["}"]
        Path(self.log_dir).mkdir(parents=True, exist_ok=True)
        (Path(self.log_dir) / "projector_config.pbtxt").write_text("\n".join([*lines, ""]))

    def _write_embeddings(self) -> None:
        for name, table in self._embeddings().items():
            path = Path(self.log_dir) / _table_of(name)
            np.savetxt(path, np.asarray(table.value, "float32"), "%.7g", "\t")


def _frequency(name: str, value: Any, least: int = 0) -> Any:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise errors.invalid("TensorBoard", name, f"an integer of at least {least}", value)
    return value


def _batches_to_trace(given: Any) -> tuple[int, int]:
    parts = given.split(",") if isinstance(given, str) else given
    try:
        pair = [int(part) for part in parts] if isinstance(parts, (list, tuple)) else [int(parts)]
    except (TypeError, ValueError):
        pair = []
    if len(pair) not in (1, 2) or pair[0] < 0 or pair[-1] < pair[0]:
        expected = "a batch, or a pair of the first and last"
        raise errors.invalid("TensorBoard", "profile_batch", expected, given)
    return pair[0], pair[-1]


def _rates(optimizer: Any) -> dict[str, float]:
    """The learning rate, or one for each of several optimizers."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    parts = getattr(optimizer, "optimizers", None)
    if parts is None:
        return {"learning_rate": float(optimizer.learning_rate)}
    return {f"learning_rate_{part.name}": float(part.learning_rate) for part in parts}


def _as_images(values: np.ndarray) -> np.ndarray | None:
    """A weight as images (n, height, width, channels); None where it is none."""
    values = np.squeeze(values)
    if values.ndim == 1:
        return values.reshape(1, -1, 1, 1)
    if values.ndim == 2:
        return (values.T if values.shape[0] > values.shape[1] else values)[None, :, :, None]
    if values.ndim == 3:
        last = config.image_data_format() == "channels_last"
        return (values.transpose(2, 0, 1) if last else values)[..., None]
    return values if values.ndim == 4 and values.shape[-1] in (1, 3, 4) else None


def _table_of(name: str) -> str:
    """The file of an embedding, seen from the folder of logs."""
    return f"embedding-{name.replace('/', '_')}.tsv"
