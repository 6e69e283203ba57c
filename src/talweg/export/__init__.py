"""Leaving Python: models as files that other runtimes run. What `Model.export` does."""

import os
from pathlib import Path
from typing import Any

from talweg.core import errors
from talweg.export.forward import Forward

__all__ = ["export_model"]

_FORMATS = ("onnx", "stablehlo")
_INSTEAD = {
    "tf_saved_model": 'TensorFlow is not used here: write format="onnx", or "stablehlo", which '
    "jax2tf and the other tools of OpenXLA read.",
    "openvino": 'OpenVINO reads ONNX: write format="onnx" and call openvino.convert_model on it.',
    "litert": 'For phones write format="onnx": onnxruntime has packages for Android and iOS.',
    "torch": 'PyTorch runs ONNX through onnxruntime, or onnx2torch: write format="onnx".',
}
_OPTIONS = {"onnx": ("opset_version", "verify"), "stablehlo": ("platforms", "verify")}


def export_model(
    model: Any,
    filepath: str | os.PathLike[str],
    format: str = "onnx",
    verbose: bool | None = None,
    input_signature: Any = None,
    **kwargs: Any,
) -> None:
    """Write a model's inference for other runtimes; `Model.export` documents the arguments."""
    if format not in _FORMATS:
        if format in _INSTEAD:
            raise errors.invalid(
                "export", "format", '"onnx" or "stablehlo"', format, _INSTEAD[format]
            )
        raise errors.unknown("export format", format, _FORMATS)
    for option in kwargs:
        if option not in _OPTIONS[format]:
            known = ", ".join(_OPTIONS[format])
            raise TypeError(f"export: format {format!r} has no option {option!r}. It has: {known}.")
    path = Path(filepath)
    if path.is_dir():
        raise IsADirectoryError(f"export: {path} is a folder. Give the name of a file.")
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"export: there is no folder {path.absolute().parent}.")
    if format == "onnx":
        from talweg.export.onnx import write
    else:
        from talweg.export.stablehlo import write
    forward = Forward(model, input_signature)
    outputs = write(forward, path, **kwargs)
    if verbose is None or verbose:
        print(f"Saved artifact at '{path}'.")
        for kind, entries in (("input", forward.inputs), ("output", outputs)):
            for entry in entries:
                print(f"  {kind} {entry}")
