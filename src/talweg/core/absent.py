"""Names of Keras that talweg leaves out, each with what to do in its place.

docs/keras-names.md lists the same for readers; a test holds the two together, and holds Keras's
namespaces to them: every public name is there in talweg or stands here.
"""

from collections.abc import Callable
from typing import Any, NoReturn

_LAYER = (
    "Use Keras's own inside the model: talweg.adapters.keras_layer(keras.layers.{name}(…)), with "
    "KERAS_BACKEND=jax."
)
_QUANTIZED = "talweg does not quantize: train in bfloat16, or export to ONNX and quantize there."
_DEVICES = (
    "Batches are shared out over devices by JAX: see jax.sharding; a block of code runs on a "
    "device with talweg.device."
)
_BOXES = "talweg's image layers do not move bounding boxes; Keras's functions work on its arrays."

# Namespace -> names ("*" for all that is in it) -> what to do instead.
ABSENT: dict[str, dict[str, str]] = {
    "keras": {
        "Operation": "A function over jax.numpy works on symbolic tensors under "
        "talweg.ops.keras_tensor.op; with weights it is a Layer.",
        "Quantizer": _QUANTIZED,
        "SymbolicScope": "Symbolic tensors need no scope: talweg.ops.compute_output_spec traces "
        "a function for its shapes.",
        "version": "It is talweg.__version__.",
    },
    "keras.applications": {
        "*": "talweg brings no trained networks: make one with Keras and train it by "
        "talweg.adapters.keras_model(model), or write it with talweg.layers."
    },
    "keras.callbacks": {
        "OrbaxCheckpoint": "Orbax brings 14 packages and 100 MB, and its API moves: "
        "ModelCheckpoint and BackupAndRestore write files that are whole. In a callback of yours, "
        "Orbax takes self.model.get_state_tree().",
    },
    "keras.config": {
        "disable_flash_attention enable_flash_attention is_flash_attention_enabled": (
            "XLA chooses how attention is computed; flash_attention=True of a layer insists."
        ),
        "enable_unsafe_deserialization": "A file is never executed: register your classes with "
        "@talweg.saving.register_keras_serializable().",
        "is_nnx_enabled": "Models of Flax NNX are adapted by talweg.adapters.nnx_module.",
        "max_epochs max_steps_per_epoch set_max_epochs set_max_steps_per_epoch": (
            "Pass epochs= and steps_per_epoch= to fit()."
        ),
        "set_backend": "There is one backend: JAX.",
    },
    "keras.distillation": {
        "*": "Override compute_loss of a Model that calls the teacher with training=False."
    },
    "keras.distribution": {"*": _DEVICES},
    "keras.dtype_policies": {
        "AWQDTypePolicy GPTQDTypePolicy Int4DTypePolicy QuantizedDTypePolicy "
        "QuantizedFloat8DTypePolicy": _QUANTIZED,
    },
    "keras.export": {"*": "Model.export(path) writes ONNX, or StableHLO."},
    "keras.layers": {
        "AutoContrast ContrastLimitedAdaptiveHistogramEqualization Equalization "
        "RandomColorDegeneration RandomErasing RandomGaussianBlur RandomGrayscale RandomHue "
        "RandomInvert RandomPerspective RandomPosterization RandomSaturation RandomSharpness "
        "RandomShear Solarization": _LAYER,
        "AugMix RandAugment RandomColorJitter": f"{_LAYER} Keras needs TensorFlow for it.",
        "CutMix MixUp": "They mix labels, too: call Keras's on a dict of images and labels in the "
        "pipeline, before fit().",
        "MaxNumBoundingBoxes": _BOXES,
        "RandomElasticTransform": "Call talweg.ops.image.elastic_transform on the images.",
        "Pipeline": "Put the layers into a Sequential, or call one after the other.",
        "TFSMLayer": "It runs TensorFlow's programs; a Keras model of the same weights is trained "
        "by talweg.adapters.keras_model(model).",
        "TorchModuleWrapper": "It is for Keras on PyTorch; weights move through "
        ".safetensors files: model.load_weights(path).",
    },
    "keras.legacy": {"*": "It is talweg.saving.serialize_keras_object, without `legacy`."},
    "keras.optimizers.legacy": {
        "*": "They are in talweg.optimizers; Keras 3 refuses these names, too."
    },
    "keras.quantizers": {"*": _QUANTIZED},
    "keras.utils.bounding_boxes": {"*": _BOXES},
    "keras.utils.legacy": {"*": "It is talweg.utils.serialize_keras_object, without `legacy`."},
    "keras.visualization": {
        "*": "Draw images with Matplotlib, or with Keras's functions on NumPy arrays."
    },
    "keras.wrappers": {
        "*": "A model's fit() and predict() take NumPy arrays; for scikit-learn's searches write "
        "talweg.compare, or use Keras's wrappers with Keras's models."
    },
}


def remedy(path: str) -> str | None:
    """What to do in place of a public name of Keras ("keras.layers.AugMix"); None if it is none.

    >>> remedy("keras.quantizers.pack_int4") is not None, remedy("keras.layers.Dense")
    (True, None)
    """
    parent, _, name = path.rpartition(".")
    for words, instead in ABSENT.get(parent, {}).items():
        if name in words.split():
            return instead.format(name=name)
    while path:
        if "*" in ABSENT.get(path, {}):
            return ABSENT[path]["*"]
        path = path.rpartition(".")[0]
    return None


def refusing(module: str) -> Callable[[str], Any]:
    """A module's `__getattr__` that says what to do in place of what is left out.

    Args:
        module: its name in talweg, "talweg.layers".
    """

    def missing(name: str) -> NoReturn:
        message = f"module {module!r} has no attribute {name!r}"
        instead = remedy(f"keras{module.removeprefix('talweg')}.{name}")
        if instead is None:
            raise AttributeError(message, name=name)
        # obj=None keeps Python from adding a guess of its own.
        raise AttributeError(f"{message}: talweg leaves it out. {instead}", name=name, obj=None)

    return missing
