"""Data sets from folders: a folder for each class, a file for each sample."""

import wave
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from talweg.core import config, errors
from talweg.data.dataset import Dataset
from talweg.data.folder_index import check_split, indexed
from talweg.data.pictures import METHODS, load_img, resized
from talweg.data.samples import numbered

_PICTURES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")


def image_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    color_mode: str = "rgb",
    batch_size: int | None = 32,
    image_size: Any = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    data_format: str | None = None,
    format: str = "tf",
    verbose: bool = True,
) -> Any:
    """Pictures in folders as batches (images, labels) that `fit` takes.

    Args:
        directory: the folder, with one folder inside for each class.
        labels: "inferred" from the folders, None, or a list in the order of the files.
        label_mode: "int", "binary", "categorical" or None.
        class_names: the folders in the order of the labels.
        color_mode: "rgb", "rgba" or "grayscale".
        batch_size: pictures in a batch; None for single ones.
        image_size: (height, width) of all.
        shuffle: whether their order is mixed, anew for each pass.
        seed: of that order.
        validation_split: the fraction at the end that is kept apart.
        subset: "training", "validation" or "both".
        interpolation: "bilinear", "nearest", "area", "bicubic", "mitchellcubic", "lanczos3",
            "lanczos5" or "gaussian", without smoothing.
        follow_links: whether linked folders are entered.
        crop_to_aspect_ratio, pad_to_aspect_ratio: keep the sides' ratio, by cutting or
            by black borders.
        data_format: "channels_last" or "channels_first".
        format: accepted as Keras does.
        verbose: whether the numbers of files and classes are printed.

    Returns:
        The dataset, with `class_names` and `file_paths`; two of them for "both".
    """
    owner = "image_dataset_from_directory"
    size = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    if len(size) != 2:
        raise errors.invalid(owner, "image_size", "(height, width)", image_size)
    interpolation = interpolation.lower()
    if interpolation not in METHODS:
        raise errors.unknown("interpolation", interpolation, METHODS)
    if color_mode not in ("rgb", "rgba", "grayscale"):
        raise errors.unknown("color_mode", color_mode, ("rgb", "rgba", "grayscale"))
    _check_format(owner, format)
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise errors.invalid(owner, "crop_to_aspect_ratio", "False where it is padded", True)
    first = (data_format or config.image_data_format()) == "channels_first"

    def read(path: str) -> np.ndarray:
        image = np.asarray(load_img(path, color_mode))
        image = image[:, :, None] if image.ndim == 2 else image
        if crop_to_aspect_ratio:
            image = _cut(image, size)
        if pad_to_aspect_ratio:
            image = _bordered(image, size, interpolation)
        else:
            image = resized(image, size, interpolation)
        return image.transpose(2, 0, 1) if first else image

    return _dataset(
        owner, directory, labels, label_mode, class_names, batch_size, shuffle, seed,
        validation_split, subset, follow_links, verbose, _PICTURES, read, np.stack,
    )  # fmt: skip


def _check_format(owner: str, format: str) -> None:
    if format not in ("tf", "grain"):
        raise errors.invalid(owner, "format", "'tf' or 'grain'", format)


def _cut(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    height, width = image.shape[:2]
    rows = max(min(height, width * size[0] // size[1]), 1)
    columns = max(min(width, height * size[1] // size[0]), 1)
    top, left = (height - rows) // 2, (width - columns) // 2
    return image[top : top + rows, left : left + columns]


def _bordered(image: np.ndarray, size: tuple[int, int], method: str) -> np.ndarray:
    height, width = image.shape[:2]
    ratio = max(height / size[0], width / size[1])
    inner = max(int(height / ratio), 1), max(int(width / ratio), 1)
    before = [(whole - part) // 2 for whole, part in zip(size, inner, strict=True)]
    after = [w - p - b for w, p, b in zip(size, inner, before, strict=True)]
    image = resized(image, inner, method)
    return np.pad(image, ((before[0], after[0]), (before[1], after[1]), (0, 0)))


def text_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    batch_size: int | None = 32,
    max_length: int | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
    format: str = "tf",
    verbose: bool = True,
) -> Any:
    """Text files in folders as batches (texts, labels); `map` a TextVectorization over it.

    Args:
        directory, labels, label_mode, class_names, batch_size, shuffle, seed: as of
            `image_dataset_from_directory`; so are the others.
        max_length: characters of each text that are kept.
        validation_split, subset, follow_links, format, verbose: the same.
    """

    _check_format("text_dataset_from_directory", format)

    def read(path: str) -> str:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read(-1 if max_length is None else max_length)

    def join(texts: list[str]) -> np.ndarray:
        return np.array(texts, dtype=object)

    return _dataset(
        "text_dataset_from_directory", directory, labels, label_mode, class_names, batch_size,
        shuffle, seed, validation_split, subset, follow_links, verbose, (".txt",), read, join,
    )  # fmt: skip


def audio_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    batch_size: int | None = 32,
    sampling_rate: int | None = None,
    output_sequence_length: int | None = None,
    ragged: bool = False,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
    verbose: bool = True,
) -> Any:
    """WAV files in folders as batches ((batch, samples, channels) in [-1, 1), labels).

    Args:
        directory, labels, label_mode, class_names, batch_size, shuffle, seed: as of
            `image_dataset_from_directory`; so are the others.
        sampling_rate: to what files of another rate are resampled (by SciPy).
        output_sequence_length: samples to which all are cut or padded; the longest of
            each batch where None.
        ragged: False; arrays are rectangular.
        validation_split, subset, follow_links, verbose: the same.
    """
    owner = "audio_dataset_from_directory"
    if ragged:
        raise errors.invalid(owner, "ragged", "False", ragged, "Give output_sequence_length.")

    def join(sounds: list[np.ndarray]) -> np.ndarray:
        size = output_sequence_length or max(map(len, sounds))
        cut = [sound[:size] for sound in sounds]
        return np.stack([np.pad(s, ((0, size - len(s)), (0, 0))) for s in cut])

    def read(path: str) -> np.ndarray:
        return read_wav(path, sampling_rate)

    made = _dataset(
        owner, directory, labels, label_mode, class_names, batch_size, shuffle, seed,
        validation_split, subset, follow_links, verbose, (".wav",), read, join,
    )  # fmt: skip
    return tuple(made) if subset == "both" else made  # as Keras has it, of sounds only


def read_wav(path: str, sampling_rate: int | None = None) -> np.ndarray:
    """The samples of a PCM WAV file as float32 (samples, channels) in [-1, 1)."""
    with wave.open(path, "rb") as file:
        width, rate, channels = file.getsampwidth(), file.getframerate(), file.getnchannels()
        raw = np.frombuffer(file.readframes(file.getnframes()), np.uint8).reshape(-1, width)
    if width == 1:
        values = raw.astype(np.float64) / 128 - 1
    else:
        # The bytes at the top of a 32-bit integer: any width is then of one scale.
        words = np.zeros((len(raw), 4), np.uint8)
        words[:, 4 - width :] = raw
        values = words.view("<i4") / 2.0**31
    sound = values.reshape(-1, channels).astype(np.float32)
    if sampling_rate is None or sampling_rate == rate:
        return sound
    signal = errors.extra("scipy.signal", "data", "Resampling sound")
    shared = np.gcd(sampling_rate, rate)
    return signal.resample_poly(sound, sampling_rate // shared, rate // shared).astype(np.float32)


def _dataset(
    owner: str,
    directory: Any,
    labels: Any,
    label_mode: str | None,
    class_names: Sequence[str] | None,
    batch_size: int | None,
    shuffle: bool,
    seed: int | None,
    validation_split: float | None,
    subset: str | None,
    follow_links: bool,
    verbose: bool,
    endings: tuple[str, ...],
    read: Callable[[str], Any],
    join: Callable[[list[Any]], Any],
) -> Any:
    """One dataset of files, or two where the subset is "both"."""
    if label_mode not in ("int", "binary", "categorical", None):
        raise errors.invalid(
            owner, "label_mode", "'int', 'binary', 'categorical' or None", label_mode
        )
    check_split(owner, validation_split, subset, shuffle, seed)
    if labels is None or label_mode is None:
        labels = label_mode = None
    seed = int(np.random.randint(10**6)) if seed is None else seed
    paths, numbers, names = indexed(owner, directory, labels, endings, class_names, follow_links)
    if not paths:
        raise errors.invalid(owner, "directory", f"a folder with {endings} files", directory)
    if label_mode == "binary" and len(names or ()) != 2:
        raise errors.invalid(owner, "label_mode", "other than 'binary' unless of 2 classes", names)
    if verbose:
        classes = f" belonging to {len(names)} classes" if names is not None else ""
        print(f"Found {len(paths)} files{classes}.")
    if shuffle:
        np.random.RandomState(seed).shuffle(paths)
        np.random.RandomState(seed).shuffle(numbers)

    def part(rows: slice, mixed: bool) -> Dataset:
        files, own = paths[rows], numbers[rows]
        if not files:
            raise errors.invalid(
                owner, "validation_split", "such that no part is empty", validation_split
            )

        def batch(which: np.ndarray) -> Any:
            x = join([read(files[i]) for i in which])
            return x if label_mode is None else (x, _labelled(own[which], label_mode, names))

        dataset = numbered(len(files), batch, batch_size, mixed, seed)
        dataset.class_names = None if names is None else list(names)
        dataset.file_paths = files
        return dataset

    if not validation_split:
        return part(slice(None), shuffle)
    kept = len(paths) - int(validation_split * len(paths))
    if verbose:
        counts = {"training": kept, "validation": len(paths) - kept}
        for name in counts if subset == "both" else [str(subset)]:
            print(f"Using {counts[name]} files for {name}.")
    parts = {"training": (slice(kept), shuffle), "validation": (slice(kept, None), shuffle)}
    if subset == "both":
        return [part(*parts["training"]), part(parts["validation"][0], False)]
    return part(*parts[str(subset)])


def _labelled(numbers: np.ndarray, mode: str, names: Sequence[str] | None) -> np.ndarray:
    if mode == "binary":
        return numbers[:, None].astype(np.float32)
    if mode == "categorical":
        return np.eye(len(names or ()), dtype=np.float32)[numbers]
    return numbers.astype(np.int32)
