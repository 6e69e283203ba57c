"""Layers: the parts of models, by family."""

from collections.abc import Mapping
from typing import Any

from talweg.core.serialization import Catalog
from talweg.layers.activation import ELU, Activation, LeakyReLU, PReLU, ReLU, Softmax
from talweg.layers.base import InputSpec, Layer
from talweg.layers.batch_normalization import BatchNormalization
from talweg.layers.convolution import Conv1D, Conv2D
from talweg.layers.dense import Dense
from talweg.layers.dropout import AlphaDropout, Dropout, SpatialDropout1D, SpatialDropout2D
from talweg.layers.embedding import Embedding
from talweg.layers.global_pooling import (
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
)
from talweg.layers.input_layer import Input, InputLayer
from talweg.layers.lambda_layer import Lambda
from talweg.layers.merging import (
    Add,
    Average,
    Concatenate,
    Dot,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    concatenate,
    dot,
    maximum,
    minimum,
    multiply,
    subtract,
)
from talweg.layers.noise import ActivityRegularization, GaussianDropout, GaussianNoise
from talweg.layers.normalization import LayerNormalization, UnitNormalization
from talweg.layers.pooling import (
    AveragePooling1D,
    AveragePooling2D,
    MaxPooling1D,
    MaxPooling2D,
)
from talweg.layers.preprocessing import Normalization, Rescaling
from talweg.layers.reshaping import Flatten, Identity, Permute, RepeatVector, Reshape
from talweg.layers.resizing import UpSampling1D, UpSampling2D, ZeroPadding2D

Convolution1D, Convolution2D = Conv1D, Conv2D
MaxPool1D, MaxPool2D = MaxPooling1D, MaxPooling2D
AvgPool1D, AvgPool2D = AveragePooling1D, AveragePooling2D
GlobalAvgPool1D, GlobalAvgPool2D = GlobalAveragePooling1D, GlobalAveragePooling2D
GlobalMaxPool1D, GlobalMaxPool2D = GlobalMaxPooling1D, GlobalMaxPooling2D

__all__ = [
    "Activation",
    "ActivityRegularization",
    "Add",
    "AlphaDropout",
    "Average",
    "AveragePooling1D",
    "AveragePooling2D",
    "AvgPool1D",
    "AvgPool2D",
    "BatchNormalization",
    "Concatenate",
    "Conv1D",
    "Conv2D",
    "Convolution1D",
    "Convolution2D",
    "Dense",
    "Dot",
    "Dropout",
    "ELU",
    "Embedding",
    "Flatten",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAvgPool1D",
    "GlobalAvgPool2D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "Identity",
    "Input",
    "InputLayer",
    "InputSpec",
    "Lambda",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "MaxPool1D",
    "MaxPool2D",
    "MaxPooling1D",
    "MaxPooling2D",
    "Maximum",
    "Minimum",
    "Multiply",
    "Normalization",
    "PReLU",
    "Permute",
    "ReLU",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "Softmax",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "Subtract",
    "UnitNormalization",
    "UpSampling1D",
    "UpSampling2D",
    "ZeroPadding2D",
    "add",
    "average",
    "concatenate",
    "deserialize",
    "dot",
    "maximum",
    "minimum",
    "multiply",
    "serialize",
    "subtract",
]

_catalog = Catalog("layer", globals(), Layer)


def serialize(layer: Layer) -> Any:
    """The record of a layer: class and config.

    >>> serialize(Dense(3))["config"]["units"]
    3
    """
    return _catalog.serialize(layer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The layer that a record describes; the weights are not part of it.

    >>> deserialize(serialize(Dense(3))).units
    3
    """
    return _catalog.deserialize(config, custom_objects)
