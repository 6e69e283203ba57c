"""The settings of the process: float type, fuzz factor, image layout."""

from typing import Literal

from talweg.core import errors

_floatx = "float32"
_epsilon = 1e-7
_image_data_format = "channels_last"

ImageDataFormat = Literal["channels_last", "channels_first"]


def floatx() -> str:
    """The default float type of weights and data: "float32" unless set."""
    return _floatx


def set_floatx(value: str) -> None:
    """Set the default float type: "float16", "bfloat16", "float32" or "float64"."""
    global _floatx
    accepted = ("bfloat16", "float16", "float32", "float64")
    if value not in accepted:
        raise errors.invalid("set_floatx", "value", f"one of {', '.join(accepted)}", value)
    _floatx = str(value)


def epsilon() -> float:
    """The small number that keeps logarithms and divisions finite: 1e-7 unless set."""
    return _epsilon


def set_epsilon(value: float) -> None:
    """Set the number that `epsilon` returns; positive."""
    global _epsilon
    if not value > 0:
        raise errors.invalid("set_epsilon", "value", "a positive number", value)
    _epsilon = float(value)


def image_data_format() -> str:
    """Where images keep their channels: "channels_last" unless set."""
    return _image_data_format


def set_image_data_format(data_format: str) -> None:
    """Set where images keep their channels: "channels_last" or "channels_first"."""
    global _image_data_format
    _image_data_format = standardize_data_format(data_format)


def standardize_data_format(data_format: str | None) -> str:
    """`data_format` checked, or the default where it is None."""
    if data_format is None:
        return _image_data_format
    if data_format not in ("channels_last", "channels_first"):
        raise errors.invalid(
            "data_format", "value", "'channels_last' or 'channels_first'", data_format
        )
    return data_format
