"""Keras's `config`, the settings of the process; `set_fused_updates` is talweg's own."""

import jax

from talweg.backend import backend
from talweg.callbacks.console import (
    disable_interactive_logging,
    enable_interactive_logging,
    is_interactive_logging_enabled,
)
from talweg.core.absent import refusing
from talweg.core.config import (
    epsilon,
    floatx,
    image_data_format,
    set_epsilon,
    set_floatx,
    set_image_data_format,
)
from talweg.core.dtypes import dtype_policy, set_dtype_policy
from talweg.core.one_pass import fused_updates, set_fused_updates

__all__ = [
    "backend",
    "disable_interactive_logging",
    "disable_traceback_filtering",
    "dtype_policy",
    "enable_interactive_logging",
    "enable_traceback_filtering",
    "epsilon",
    "floatx",
    "fused_updates",
    "image_data_format",
    "is_interactive_logging_enabled",
    "is_traceback_filtering_enabled",
    "set_dtype_policy",
    "set_epsilon",
    "set_floatx",
    "set_fused_updates",
    "set_image_data_format",
]

__getattr__ = refusing(__name__)


def enable_traceback_filtering() -> None:
    """Leave the inside of JAX out of tracebacks; so it is from the start."""
    jax.config.update("jax_traceback_filtering", "auto")


def disable_traceback_filtering() -> None:
    """Show the inside of JAX in tracebacks.

    >>> disable_traceback_filtering()
    >>> is_traceback_filtering_enabled()
    False
    >>> enable_traceback_filtering()
    """
    jax.config.update("jax_traceback_filtering", "off")


def is_traceback_filtering_enabled() -> bool:
    """Whether tracebacks leave out the inside of JAX."""
    return jax.config.jax_traceback_filtering != "off"  # pyright: ignore[reportAttributeAccessIssue]
