"""Files changed with knowledge of their structure: zip, JSON, HDF5, safetensors, bytes."""

import io
import json
import random
import warnings
import zipfile

import h5py
import numpy as np

HDF5 = b"\x89HDF\r\n\x1a\n"
WEIGHTS = "model.weights.h5"
VALUES = [
    None, True, False, 0, 1, -1, 2, 3, 8.5, "8", "", "..", "a/b", "../../x", "/etc/passwd", "a\0b",
    10**4, 10**7, 10**10, 10**13, 2**63, 1e308, -1e308, [], {}, [[]], [1], [None, None], "a" * 5000,
    "relu", "softmax", "mse", "adam", "float16", "bfloat16", "string", "os", "builtins", "keras",
    "keras.layers", "keras.src.ops.numpy", "Dense", "Sequential", "Functional", "Model", "Lambda",
    "function", "load_model", "system", "Embedding", "LSTM", "Bidirectional", "StringLookup",
    "TextVectorization", "Reshape", "RepeatVector", "ZeroPadding2D", "Tile", "Repeat", "GetItem",
    "http://127.0.0.1:9/x", "channels_first", "same", "valid", [[[[]]]], [10**6, 10**6], [-1, 4],
    {"class_name": "__lambda__", "config": {"value": "4wEAAA=="}},
    {"class_name": "__tensor__", "config": {"value": [1.0], "dtype": "float32"}},
    {"class_name": "__numpy__", "config": {"value": [[1, 2], [3]], "dtype": "int32"}},
    {"class_name": "__slice__", "config": {"start": 0, "stop": None, "step": 0}},
    {"class_name": "__bytes__", "config": {"value": 3}},
    {"class_name": "__keras_tensor__", "config": {"keras_history": ["dense", 0, 0]}},
    {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"},
]  # fmt: skip


def flipped(draw: random.Random, data: bytes) -> bytes:
    """A few bits, bytes or pieces changed, without regard to what they mean."""
    found = bytearray(data or b"\0")
    for _ in range(draw.choice((1, 1, 1, 2, 8))):
        at = draw.randrange(len(found))
        deed = draw.randrange(5)
        if deed == 0:
            found[at] ^= 1 << draw.randrange(8)
        elif deed == 1:
            found[at] = draw.choice((0, 1, 0x7F, 0x80, 0xFF, draw.randrange(256)))
        elif deed == 2 and len(found) > 8:
            number = draw.choice((0, 1, 2**15, 2**31, 2**32 - 1, 2**63, 2**64 - 1))
            found[at : at + 8] = number.to_bytes(8, "little")[: len(found) - at]
        elif deed == 3:
            del found[at : at + draw.choice((1, 4, 64, len(found)))]
            found = found or bytearray(1)
        else:
            start = draw.randrange(len(found))
            found[at:at] = found[start : start + draw.choice((1, 8, 64))]
    return bytes(found)


def places(value, found):
    """Every (container, key) in a tree of JSON."""
    stack = [value]
    while stack and len(found) < 5000:
        at = stack.pop()
        keys = at if isinstance(at, dict) else range(len(at)) if isinstance(at, list) else ()
        for key in list(keys):
            found.append((at, key))
            stack.append(at[key])
    return found


def changed_json(draw: random.Random, text: bytes) -> bytes:
    """One or two values replaced, removed, doubled, or taken from elsewhere in the tree."""
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        return flipped(draw, text)
    for _ in range(draw.choice((1, 1, 2, 3))):
        spots = places(tree, [])
        if not spots:
            return json.dumps(draw.choice(VALUES)).encode()
        at, key = draw.choice(spots)
        deed = draw.randrange(6)
        if deed <= 1:
            at[key] = json.loads(json.dumps(draw.choice(VALUES)))
        elif deed == 2:
            other, where = draw.choice(spots)
            at[key] = json.loads(json.dumps(other[where]))
        elif deed == 3:
            del at[key]
        elif deed == 4 and isinstance(at, list):
            at.append(json.loads(json.dumps(at[key])))
        elif isinstance(at[key], (int, float)) and not isinstance(at[key], bool):
            at[key] = draw.choice((at[key] + 1, -at[key], at[key] * 10**6, 0))
        else:
            where = draw.choice(("name", "units", "class_name")) if isinstance(at, dict) else key
            at[where] = json.loads(json.dumps(draw.choice(VALUES)))
    return json.dumps(tree).encode()


ARRAYS = [
    {"shape": (2**50,), "dtype": "f4", "chunks": (2**10,)},
    {"shape": (2**24,), "dtype": "f4", "compression": "gzip"},
    {"shape": (), "dtype": "f4"},
    {"shape": (3,), "dtype": h5py.string_dtype()},
    {"shape": (3,), "dtype": "f4", "external": [("/etc/passwd", 0, 12)]},
    {"data": np.float32(np.nan)},
    {"data": np.ones(3, "c8")},
    {"data": np.full(3, b"x")},
    {"data": np.ones((2, 3), "i8")},
    {"data": h5py.Empty("f4")},
]


def changed_hdf5(draw: random.Random, content: bytes) -> bytes:
    """One or two objects removed, replaced, linked elsewhere, or given other attributes."""
    stream = io.BytesIO(content)
    try:
        with h5py.File(stream, "r+") as file:
            names: list[str] = []
            file.visit(names.append)
            for _ in range(draw.choice((1, 1, 2))):
                change_object(draw, file, names)
    except Exception:  # a file that is damaged already
        return flipped(draw, content)
    return stream.getvalue()


def change_object(draw, file, names):
    name = draw.choice(names) if names else "x"
    below = f"{name}/more" if isinstance(file.get(name), h5py.Group) else "more"
    deed = draw.randrange(8)
    if deed <= 1 and name in file:
        del file[name]
    if deed in (1, 2):
        file.create_dataset(name if deed == 1 else below, **draw.choice(ARRAYS))
    elif deed == 3:
        file[below] = draw.choice(
            (h5py.SoftLink("/"), h5py.ExternalLink("/etc/passwd", "/x"), file[name], file)
        )
    elif deed == 4 and file.attrs:
        key = draw.choice(list(file.attrs))
        text = file.attrs[key]
        text = text.encode() if isinstance(text, str) else bytes(text)
        file.attrs[key] = changed_json(draw, text)
    elif deed == 5:
        key = draw.choice(("name", "crc32", "dtype", "layer_names", "weight_names", "x"))
        file[name].attrs[key] = draw.choice(
            ("bfloat16", "", 3, -1.5, [b"a", b"\xff"], ["x"] * 30, b"/", np.ones((3, 3)))
        )
    elif deed == 6 and isinstance(file.get(name), h5py.Dataset):
        array = file[name][()]
        del file[name]
        file.create_dataset(name, data=np.asarray(array).reshape(-1)[::-1])
    else:
        file.move(name, draw.choice(names))


def changed_safetensors(draw: random.Random, content: bytes) -> bytes:
    """The head changed as JSON, with its length."""
    length = int.from_bytes(content[:8], "little")
    head = changed_json(draw, content[8 : 8 + length])
    return len(head).to_bytes(8, "little") + head + content[8 + length :]


def changed_zip(draw: random.Random, content: bytes) -> bytes:
    """One member changed by its kind, or the list of members."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            members = [(name, file.read(name)) for name in file.namelist()]
    except Exception:  # a file that is no zip any more
        return flipped(draw, content)
    if not members:
        return flipped(draw, content)
    at = draw.randrange(len(members))
    name, inner = members[at]
    deed = draw.randrange(12)
    if deed == 0:
        del members[at]
    elif deed == 1:
        members.append((draw.choice((name, "assets/x", "../x", "assets/a/../b")), inner))
    else:
        members[at] = (name, changed(draw, inner) if deed > 2 else flipped(draw, inner))
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(stream, "w", draw.choice((0, 0, 0, zipfile.ZIP_DEFLATED))) as file:
            for name, inner in members:
                file.writestr(name, inner)
    return stream.getvalue()


def changed(draw: random.Random, content: bytes) -> bytes:
    """The content changed in one of the ways that suit it."""
    if draw.randrange(8) == 0:
        return flipped(draw, content)
    if content[:4] == b"PK\x03\x04":
        return changed_zip(draw, content)
    if content[:8] == HDF5:
        return changed_hdf5(draw, content)
    if content[:1] in b"{[":
        return changed_json(draw, content)
    if content[8:9] == b"{":
        return changed_safetensors(draw, content)
    return flipped(draw, content)
