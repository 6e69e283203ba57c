"""device: where arrays are made and computed."""

import contextlib
from typing import Any

import jax

from talweg.core import errors


def device(device_name: Any) -> contextlib.AbstractContextManager[Any]:
    """While it is open, arrays that are made lie on a device.

    Args:
        device_name: "cpu", "gpu:1", … (`jax.devices` counts from 0), or a `jax.Device`.

    Raises:
        ValueError: there is no such device.

    >>> import jax.numpy as jnp
    >>> with device("cpu:0"):
    ...     print(jnp.zeros(2).device.platform)
    cpu
    """
    if isinstance(device_name, jax.Device):
        return jax.default_device(device_name)
    if not isinstance(device_name, str):
        raise errors.invalid("device", "device_name", "a string such as 'gpu:0'", device_name)
    kind, _, number = device_name.lower().rpartition("device:")[2].partition(":")
    known = [f"{d.platform}:{i}" for i, d in enumerate(jax.devices())] + ["cpu:0"]
    try:
        return jax.default_device(jax.devices(kind)[int(number or 0)])
    except (RuntimeError, IndexError, ValueError):
        raise errors.unknown("device", device_name, known) from None
