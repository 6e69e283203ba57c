"""`tf.logging` of TensorFlow 1, also met as `tf.compat.v1.logging`."""

import logging
from typing import Any

DEBUG, INFO, WARN, ERROR, FATAL = (
    logging.DEBUG,
    logging.INFO,
    logging.WARNING,
    logging.ERROR,
    logging.FATAL,
)


def set_verbosity(v: Any) -> None:
    """Set the level of talweg's logger."""
    logging.getLogger("talweg").setLevel(v)


def get_verbosity() -> int:
    """The level of talweg's logger."""
    return logging.getLogger("talweg").getEffectiveLevel()
