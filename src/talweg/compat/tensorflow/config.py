"""`tf.config`: what devices there are; settings that JAX does without are accepted."""

from typing import Any

import jax


def list_physical_devices(device_type: str | None = None) -> list[jax.Device]:
    """JAX's devices, all or of one kind: "CPU", "GPU", "TPU".

    >>> len(list_physical_devices()) > 0
    True
    """
    wanted = device_type and device_type.lower()
    return [device for device in jax.devices() if wanted in (None, device.platform)]


list_logical_devices = list_physical_devices
get_visible_devices = list_physical_devices


def set_visible_devices(devices: Any, device_type: Any = None) -> None:
    """Accepted without effect; JAX reads CUDA_VISIBLE_DEVICES."""


def set_memory_growth(device: Any, enable: bool) -> None:
    """Accepted without effect; JAX reads XLA_PYTHON_CLIENT_PREALLOCATE."""


def set_logical_device_configuration(device: Any, logical_devices: Any) -> None:
    """Accepted without effect."""


def set_intra_op_parallelism_threads(num_threads: int) -> None:
    """Accepted without effect; XLA chooses its threads."""


def set_inter_op_parallelism_threads(num_threads: int) -> None:
    """Accepted without effect; XLA chooses its threads."""


def set_jit(enabled: Any) -> None:
    """Accepted without effect: steps are always compiled."""


def enable_op_determinism() -> None:
    """Accepted without effect: the same seed gives the same bits."""


def run_functions_eagerly(run_eagerly: bool) -> None:
    """Accepted without effect; compile(run_eagerly=True) runs steps uncompiled."""
