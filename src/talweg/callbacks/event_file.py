"""TensorBoard's event files: records of values, appended and flushed."""

import itertools
import os
import socket
import time
import warnings
import weakref
from pathlib import Path
from typing import Any

import numpy as np

from talweg.core import errors

_PURPOSE = "callbacks.TensorBoard"
_numbers = itertools.count()


def _library(module: str) -> Any:
    return errors.extra(f"tensorboardX.{module}", "tensorboard", _PURPOSE)


class EventFile:
    """A new file of events in a folder, which is made where it is missing.

    Whole records are appended, in the thread of the training. Where one cannot be written (a
    full disk), a warning says so once and the training goes on without the file.

    Args:
        folder: where to; TensorBoard takes each folder for a run.

    Raises:
        OSError: the folder cannot be made, or is not writable.
        MissingExtraError: tensorboardX is not installed.
    """

    def __init__(self, folder: str | os.PathLike[str]):
        events, writer = _library("proto.event_pb2"), _library("record_writer")
        Path(folder).mkdir(parents=True, exist_ok=True)
        self._event = events.Event
        stamp = f"{time.time():010.0f}.{socket.gethostname()}.{os.getpid()}.{next(_numbers)}"
        self.path = Path(folder) / f"events.out.tfevents.{stamp}.v2"
        self._writer: Any = writer.RecordWriter(str(self.path))
        # A training that ends in an error closes nothing.
        weakref.finalize(self, self._writer.close)
        self._append(self._event(wall_time=time.time(), file_version="brain.Event:2"))
        self.flush()

    def _append(self, event: Any) -> None:
        try:
            if self._writer is not None:
                self._writer.write(event.SerializeToString())
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self._writer = None
        warnings.warn(f"TensorBoard: {self.path} is not written on: {error}", stacklevel=2)

    def add(self, summary: Any, step: int) -> None:
        """Append a `Summary` for a step."""
        self._append(self._event(wall_time=time.time(), step=int(step), summary=summary))

    def scalar(self, tag: str, value: float, step: int) -> None:
        """Append a number."""
        self.add(_library("summary").scalar(tag, float(value)), step)

    def histogram(self, tag: str, values: np.ndarray, step: int) -> None:
        """Append how the finite ones of many numbers are distributed, in 30 bins."""
        finite = values[np.isfinite(values)]
        if finite.size:
            edges = np.histogram_bin_edges(finite, 30)
            self.add(_library("summary").histogram(tag, finite, edges), step)

    def images(self, tag: str, batch: np.ndarray, step: int) -> None:
        """Append images (n, height, width, channels) with values in [0, 1], side by side."""
        errors.extra("PIL.Image", "tensorboard", _PURPOSE)
        clipped = np.clip(np.nan_to_num(batch.astype("float32")), 0, 1)
        row = np.concatenate(list(clipped), axis=1)
        self.add(_library("summary").image(tag, row, dataformats="HWC"), step)

    def text(self, tag: str, plugin: str, value: str, step: int) -> None:
        """Append a text for one of TensorBoard's plugins."""
        summaries, tensors = _library("proto.summary_pb2"), _library("proto.tensor_pb2")
        data = summaries.SummaryMetadata.PluginData(plugin_name=plugin, content=b"1")
        tensor = tensors.TensorProto(dtype="DT_STRING", string_val=[value.encode()])
        entry = summaries.Summary.Value(
            tag=tag, metadata=summaries.SummaryMetadata(plugin_data=data), tensor=tensor
        )
        self.add(summaries.Summary(value=[entry]), step)

    def flush(self) -> None:
        """Hand what was appended to the system."""
        try:
            if self._writer is not None:
                self._writer.flush()
        except OSError as error:
            self._give_up(error)

    def close(self) -> None:
        """Flush, and append no more."""
        self.flush()
        if self._writer is not None:
            self._writer.close()
        self._writer = None
