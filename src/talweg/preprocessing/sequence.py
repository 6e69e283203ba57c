"""Keras's `preprocessing.sequence`: sequences of one length."""

from talweg.data.sequences import pad_sequences

__all__ = ["pad_sequences"]
