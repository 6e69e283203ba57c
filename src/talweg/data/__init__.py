"""Data: whatever the user has, as `Batches` that the engine runs over."""

from talweg.data.arrays import ArrayBatches
from talweg.data.batches import Batches, Chunk, rest_of
from talweg.data.dataset import Dataset
from talweg.data.open import open_batches
from talweg.data.py_dataset import PyDataset
from talweg.data.streams import StreamBatches

__all__ = [
    "ArrayBatches",
    "Batches",
    "Chunk",
    "Dataset",
    "PyDataset",
    "StreamBatches",
    "open_batches",
    "rest_of",
]
