"""`tf.test`: questions about devices."""

from typing import Any

from talweg.compat.tensorflow.config import list_physical_devices


def is_gpu_available(*_: Any, **__: Any) -> bool:
    """Whether JAX sees a GPU."""
    return bool(list_physical_devices("GPU"))


def is_built_with_cuda() -> bool:
    """Whether JAX sees a GPU."""
    return is_gpu_available()


def gpu_device_name() -> str:
    """The name of the first GPU, empty without one."""
    return "/device:GPU:0" if is_gpu_available() else ""
