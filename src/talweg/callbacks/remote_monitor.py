"""The logs of every epoch, posted to a server."""

import json
import math
import time
import urllib.parse
import warnings
from collections.abc import Mapping
from typing import Any

from talweg.callbacks.base import Callback, Logs
from talweg.core import errors

_TIMEOUT = 1.0
_PAUSE = 20.0


class RemoteMonitor(Callback):
    """Posts the epoch and its logs to `root + path` as JSON.

    A server that does not answer costs the training next to nothing: a request waits one
    second at most, and after a failure, which is a warning, none is made for twenty times
    as long as it took. Values that JSON does not know (NaN) are sent as null.

    Args:
        root: the address of the server, "http://…" or "https://…".
        path: the path on it.
        field: the form field that holds the JSON, unless `send_as_json`.
        headers: further HTTP headers.
        send_as_json: whether the body is the JSON itself ("application/json").

    Raises:
        ValueError: the address is not one of HTTP.

    >>> RemoteMonitor().root
    'http://localhost:9000'
    """

    def __init__(
        self,
        root: str = "http://localhost:9000",
        path: str = "/publish/epoch/end/",
        field: str = "data",
        headers: Mapping[str, str] | None = None,
        send_as_json: bool = False,
    ):
        super().__init__()
        if urllib.parse.urlsplit(root).scheme not in ("http", "https"):
            raise errors.invalid("RemoteMonitor", "root", "http://… or https://…", root)
        self.root = root
        self.path = path
        self.field = field
        self.headers = headers
        self.send_as_json = send_as_json
        self._not_before = -math.inf

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        # Only who sends needs them.
        import http.client
        import urllib.request

        begin = time.monotonic()
        if begin < self._not_before:
            return
        values = {name: _json(value) for name, value in (logs or {}).items()}
        record = json.dumps({"epoch": epoch, **values}, default=str)
        if self.send_as_json:
            body, kind = record, "application/json"
        else:
            body = urllib.parse.urlencode({self.field: record})
            kind = "application/x-www-form-urlencoded"
        request = urllib.request.Request(
            self.root + self.path,
            data=body.encode(),
            headers={"Content-Type": kind, **(self.headers or {})},
            method="POST",
        )
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT):
                pass
        except (OSError, http.client.HTTPException) as error:
            now = time.monotonic()
            self._not_before = now + _PAUSE * (now - begin)
            warnings.warn(f"RemoteMonitor: could not post to {self.root}: {error}", stacklevel=2)


def _json(value: Any) -> Any:
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
