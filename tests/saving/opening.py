"""Bytes that may be a file of any kind, opened under the limits: a model, or a ValueError."""

import contextlib
import functools
import math
import tempfile
import warnings
from pathlib import Path

import talweg
from saving import mutations
from saving.limits import limited
from talweg import layers
from talweg.core import names
from talweg.core.loans import bounded

CORPUS = Path(__file__).with_name("corpus")


@functools.cache
def target():
    """The model that files of weights are tried on; its names are those of the corpus."""
    names.reset()
    x = talweg.Input((4,), name="x")
    hidden = layers.BatchNormalization(name="norm")(layers.Dense(3, name="a")(x))
    model = talweg.Model(x, layers.Dense(2, name="b")(hidden))
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def ending(content: bytes) -> str:
    """What kind of file the bytes begin as."""
    if content[:8] == mutations.HDF5:
        return ".h5"
    if content[:1] in (b"{", b"["):
        return ".json"
    return ".safetensors" if content[8:9] == b"{" else ".keras"


def from_json(text: bytes):
    """A model without weights may be of any size that is asked for; here it may not."""
    left = 4 << 20

    def check(shape: tuple[int, ...]) -> None:
        nonlocal left
        left -= math.prod(shape)
        if left < 0:
            raise ValueError("larger than it may be here")

    with bounded(check):
        return talweg.models.model_from_json(text)


def attempts(path: Path, content: bytes):
    """All ways in which such a file is opened."""
    if path.suffix == ".json":
        yield lambda: from_json(content)
    if path.suffix in (".keras", ".h5"):
        yield lambda: talweg.models.load_model(path)
    if path.suffix in (".safetensors", ".h5"):
        yield lambda: target().load_weights(path)


def opened(content: bytes, measured: bool = True) -> bool:
    """Whether the bytes hold a model; False where they were refused, as they should be.

    Raises:
        Exception: anything but ValueError that opening raises.
        AssertionError: opening costs or touches more than it may.
    """
    names.reset()
    found = False
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / f"file{ending(content)}"
        path.write_bytes(content)
        for attempt in attempts(path, content):
            with (
                contextlib.suppress(ValueError),
                limited() if measured else contextlib.nullcontext(),
            ):
                attempt()
                found = True
    return found


def warmed() -> None:
    """What is imported and compiled at first is no cost of a file's."""
    for file in sorted(CORPUS.glob("good*")):
        opened(file.read_bytes(), measured=False)
