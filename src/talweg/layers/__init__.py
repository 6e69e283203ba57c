"""Layers: the parts of models, by family."""

from collections.abc import Mapping
from typing import Any

from talweg.core.absent import refusing
from talweg.core.serialization import Catalog
from talweg.layers.activation import ELU, Activation, LeakyReLU, PReLU, ReLU, Softmax
from talweg.layers.adaptive_pooling import (
    AdaptiveAveragePooling1D,
    AdaptiveAveragePooling2D,
    AdaptiveAveragePooling3D,
    AdaptiveMaxPooling1D,
    AdaptiveMaxPooling2D,
    AdaptiveMaxPooling3D,
)
from talweg.layers.attention import AdditiveAttention, Attention
from talweg.layers.base import InputSpec, Layer
from talweg.layers.batch_normalization import BatchNormalization
from talweg.layers.bidirectional import Bidirectional
from talweg.layers.category_encoding import CategoryEncoding, Discretization
from talweg.layers.conv_lstm import ConvLSTM1D, ConvLSTM2D, ConvLSTM3D
from talweg.layers.conv_transpose import Conv1DTranspose, Conv2DTranspose, Conv3DTranspose
from talweg.layers.convolution import Conv1D, Conv2D, Conv3D
from talweg.layers.cropping import Cropping1D, Cropping2D, Cropping3D
from talweg.layers.dense import Dense
from talweg.layers.depthwise import (
    DepthwiseConv1D,
    DepthwiseConv2D,
    SeparableConv1D,
    SeparableConv2D,
)
from talweg.layers.dropout import (
    AlphaDropout,
    Dropout,
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
)
from talweg.layers.einsum_dense import EinsumDense
from talweg.layers.embedding import Embedding
from talweg.layers.global_pooling import (
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalAveragePooling3D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    GlobalMaxPooling3D,
)
from talweg.layers.group_normalization import GroupNormalization
from talweg.layers.group_query_attention import GroupQueryAttention
from talweg.layers.gru import GRU, GRUCell
from talweg.layers.hashing import HashedCrossing, Hashing
from talweg.layers.image_augmentation import (
    RandomBrightness,
    RandomContrast,
    RandomCrop,
    RandomFlip,
)
from talweg.layers.image_resizing import CenterCrop, Resizing
from talweg.layers.image_warping import RandomRotation, RandomTranslation, RandomZoom
from talweg.layers.input_layer import Input, InputLayer
from talweg.layers.jax_layer import FlaxLayer, JaxLayer
from talweg.layers.lambda_layer import Lambda
from talweg.layers.lstm import LSTM, LSTMCell
from talweg.layers.masking import Masking
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
from talweg.layers.multi_head_attention import MultiHeadAttention
from talweg.layers.noise import ActivityRegularization, GaussianDropout, GaussianNoise
from talweg.layers.normalization import LayerNormalization, UnitNormalization
from talweg.layers.pooling import (
    AveragePooling1D,
    AveragePooling2D,
    AveragePooling3D,
    MaxPooling1D,
    MaxPooling2D,
    MaxPooling3D,
)
from talweg.layers.preprocessing import Normalization, Rescaling
from talweg.layers.reshaping import Flatten, Identity, Permute, RepeatVector, Reshape
from talweg.layers.resizing import (
    UpSampling1D,
    UpSampling2D,
    UpSampling3D,
    ZeroPadding1D,
    ZeroPadding2D,
    ZeroPadding3D,
)
from talweg.layers.reversible_embedding import ReversibleEmbedding
from talweg.layers.rms_normalization import RMSNormalization
from talweg.layers.rnn import RNN
from talweg.layers.simple_rnn import SimpleRNN, SimpleRNNCell
from talweg.layers.spectral_normalization import SpectralNormalization
from talweg.layers.spectrograms import MelSpectrogram, STFTSpectrogram
from talweg.layers.stacked_rnn_cells import StackedRNNCells
from talweg.layers.text_vectorization import TextVectorization
from talweg.layers.time_distributed import TimeDistributed
from talweg.layers.token_lookups import IntegerLookup, StringLookup
from talweg.layers.wrapper import Wrapper

Convolution1D, Convolution2D, Convolution3D = Conv1D, Conv2D, Conv3D
Convolution1DTranspose, Convolution2DTranspose = Conv1DTranspose, Conv2DTranspose
Convolution3DTranspose = Conv3DTranspose
SeparableConvolution1D, SeparableConvolution2D = SeparableConv1D, SeparableConv2D
MaxPool1D, MaxPool2D, MaxPool3D = MaxPooling1D, MaxPooling2D, MaxPooling3D
AvgPool1D, AvgPool2D, AvgPool3D = AveragePooling1D, AveragePooling2D, AveragePooling3D
GlobalAvgPool1D, GlobalAvgPool2D = GlobalAveragePooling1D, GlobalAveragePooling2D
GlobalMaxPool1D, GlobalMaxPool2D = GlobalMaxPooling1D, GlobalMaxPooling2D
GlobalAvgPool3D, GlobalMaxPool3D = GlobalAveragePooling3D, GlobalMaxPooling3D

__all__ = [
    "Activation",
    "ActivityRegularization",
    "AdaptiveAveragePooling1D",
    "AdaptiveAveragePooling2D",
    "AdaptiveAveragePooling3D",
    "AdaptiveMaxPooling1D",
    "AdaptiveMaxPooling2D",
    "AdaptiveMaxPooling3D",
    "Add",
    "AdditiveAttention",
    "AlphaDropout",
    "Attention",
    "Average",
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "AvgPool1D",
    "AvgPool2D",
    "AvgPool3D",
    "BatchNormalization",
    "Bidirectional",
    "CategoryEncoding",
    "CenterCrop",
    "Concatenate",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
    "ConvLSTM1D",
    "ConvLSTM2D",
    "ConvLSTM3D",
    "Convolution1D",
    "Convolution1DTranspose",
    "Convolution2D",
    "Convolution2DTranspose",
    "Convolution3D",
    "Convolution3DTranspose",
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "Discretization",
    "Dot",
    "Dropout",
    "ELU",
    "EinsumDense",
    "Embedding",
    "Flatten",
    "FlaxLayer",
    "GRU",
    "GRUCell",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalAvgPool1D",
    "GlobalAvgPool2D",
    "GlobalAvgPool3D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "GlobalMaxPool3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "GroupNormalization",
    "GroupQueryAttention",
    "HashedCrossing",
    "Hashing",
    "Identity",
    "Input",
    "InputLayer",
    "InputSpec",
    "IntegerLookup",
    "JaxLayer",
    "LSTM",
    "LSTMCell",
    "Lambda",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "Masking",
    "MaxPool1D",
    "MaxPool2D",
    "MaxPool3D",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
    "Maximum",
    "MelSpectrogram",
    "Minimum",
    "MultiHeadAttention",
    "Multiply",
    "Normalization",
    "PReLU",
    "Permute",
    "RMSNormalization",
    "RNN",
    "RandomBrightness",
    "RandomContrast",
    "RandomCrop",
    "RandomFlip",
    "RandomRotation",
    "RandomTranslation",
    "RandomZoom",
    "ReLU",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "Resizing",
    "ReversibleEmbedding",
    "STFTSpectrogram",
    "SeparableConv1D",
    "SeparableConv2D",
    "SeparableConvolution1D",
    "SeparableConvolution2D",
    "SimpleRNN",
    "SimpleRNNCell",
    "Softmax",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "SpectralNormalization",
    "StackedRNNCells",
    "StringLookup",
    "Subtract",
    "TextVectorization",
    "TimeDistributed",
    "UnitNormalization",
    "UpSampling1D",
    "UpSampling2D",
    "UpSampling3D",
    "Wrapper",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
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
__getattr__ = refusing(__name__)


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
