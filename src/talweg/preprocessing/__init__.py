"""Keras's `preprocessing`: the names that also stand in `utils`, and `smart_resize`."""

from talweg.data.folders import image_dataset_from_directory, text_dataset_from_directory
from talweg.data.sequences import timeseries_dataset_from_array
from talweg.preprocessing import image, sequence

__all__ = [
    "image",
    "image_dataset_from_directory",
    "sequence",
    "text_dataset_from_directory",
    "timeseries_dataset_from_array",
]
