"""A callback made of functions."""

from collections.abc import Callable
from typing import Any

from talweg.callbacks.base import Callback
from talweg.core import errors


class LambdaCallback(Callback):
    """A callback from functions, one per hook.

    Args:
        on_epoch_begin: called with `epoch, logs`.
        on_epoch_end: called with `epoch, logs`.
        on_train_begin: called with `logs`.
        on_train_end: called with `logs`.
        on_train_batch_begin: called with `batch, logs=logs`.
        on_train_batch_end: called with `batch, logs=logs`.
        **kwargs: functions for any other hook, by its name; `reads="logs"` where the batch
            hooks look at their logs only, which lets blocks be long.

    Raises:
        ValueError: a hook's name is misspelt (Keras never calls it, silently).

    >>> seen = []
    >>> callback = LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))
    >>> callback.on_epoch_end(3, {})
    >>> seen
    [3]
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **kwargs: Any,
    ):
        super().__init__()
        known = [name for name in dir(Callback) if name.startswith("on_")]
        for name in kwargs:
            if name.startswith("on_") and name not in known:
                raise errors.unknown("hook", name, known)
        named = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **kwargs,
        }
        vars(self).update({name: hook for name, hook in named.items() if hook is not None})
