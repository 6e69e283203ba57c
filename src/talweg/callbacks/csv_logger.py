"""The logs of every epoch in a CSV file."""

import csv
import os
import warnings
from collections.abc import Iterable
from typing import Any, TextIO

from talweg.callbacks.base import Callback, Logs


class CSVLogger(Callback):
    """Writes a line per epoch to a CSV file, the epoch first, the metrics by name.

    The columns are those of the first epoch; where it has no validation, they are doubled
    by "val_" for epochs that have. Every line is on the disk when the epoch ends.

    Args:
        filename: the path of the file.
        separator: what stands between two values.
        append: whether to go on with a file that exists, in its columns.

    Raises:
        OSError: at the beginning of the training, if the file cannot be written.

    Example:

        model.fit(x, y, callbacks=[CSVLogger("run.csv")])
    """

    def __init__(
        self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False
    ):
        super().__init__()
        self.filename = os.fspath(filename)
        self.sep = separator
        self.append = append
        self.keys: list[str] | None = None
        self.csv_file: TextIO | None = None
        self._has_header = False

    def on_train_begin(self, logs: Logs = None) -> None:
        self.on_train_end()
        self.keys = self._columns_of_file() if self.append else None
        self._has_header = self.keys is not None
        # The csv module ends its lines by itself.
        self.csv_file = open(  # noqa: SIM115
            self.filename, "a" if self.append else "w", newline="", encoding="utf-8"
        )

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self.csv_file is None:
            return
        logs = logs or {}
        if self.keys is None:
            self.keys = _columns(logs)
        writer = csv.writer(self.csv_file, delimiter=self.sep)
        if not self._has_header:
            writer.writerow(["epoch", *self.keys])
            self._has_header = True
        writer.writerow([epoch, *(_cell(logs.get(key, "NA")) for key in self.keys)])
        self.csv_file.flush()
        self._point_out_left_out(logs)

    def on_train_end(self, logs: Logs = None) -> None:
        if self.csv_file is not None:
            self.csv_file.close()
        self.csv_file = None

    def _columns_of_file(self) -> list[str] | None:
        if not os.path.exists(self.filename):
            return None
        with open(self.filename, newline="", encoding="utf-8") as file:
            header = next(csv.reader(file, delimiter=self.sep), None)
        return header[1:] if header else None

    def _point_out_left_out(self, logs: dict[str, Any]) -> None:
        left_out = set(logs).difference(self.keys or ())
        if left_out:
            warnings.warn(
                f"CSVLogger: {self.filename} has no column for {', '.join(sorted(left_out))}: "
                "the columns are those of its first epoch.",
                stacklevel=2,
            )


def _columns(logs: dict[str, Any]) -> list[str]:
    keys = sorted(logs)
    if any(key.startswith("val_") for key in keys):
        return keys
    return keys + [f"val_{key}" for key in keys if not key.startswith("learning_rate")]


def _cell(value: Any) -> Any:
    if isinstance(value, str) or not isinstance(value, Iterable) or getattr(value, "ndim", 1) == 0:
        return value
    return f'"[{", ".join(map(str, value))}]"'
