"""What is measured while training: Keras's metrics as small programs over variables."""

import inspect
from collections.abc import Mapping
from typing import Any

from talweg.core.names import to_snake_case
from talweg.core.serialization import Catalog, custom_object_scope
from talweg.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from talweg.metrics.auc import AUC
from talweg.metrics.base import Metric
from talweg.metrics.constrained import (
    PrecisionAtRecall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
)
from talweg.metrics.correlation import (
    ConcordanceCorrelation,
    PearsonCorrelation,
    concordance_correlation,
    pearson_correlation,
)
from talweg.metrics.f_score import F1Score, FBetaScore
from talweg.metrics.hinge import CategoricalHinge, Hinge, SquaredHinge
from talweg.metrics.iou import BinaryIoU, IoU, MeanIoU, OneHotIoU, OneHotMeanIoU
from talweg.metrics.precision_recall import (
    FalseNegatives,
    FalsePositives,
    Precision,
    Recall,
    TrueNegatives,
    TruePositives,
)
from talweg.metrics.probabilistic import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    KLDivergence,
    Poisson,
    SparseCategoricalCrossentropy,
)
from talweg.metrics.r2_score import R2Score
from talweg.metrics.reduction import Mean, MeanMetricWrapper, Sum, function_of
from talweg.metrics.regression import (
    CosineSimilarity,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    RootMeanSquaredError,
)

# How compile resolves "accuracy" and "crossentropy"; no identifiers themselves.
from talweg.metrics.selection import accuracy_for as accuracy_for
from talweg.metrics.selection import crossentropy_for as crossentropy_for
from talweg.ops.focal import binary_focal_crossentropy, categorical_focal_crossentropy
from talweg.ops.objectives import (
    binary_crossentropy,
    categorical_crossentropy,
    categorical_hinge,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)

__all__ = [
    "Metric",
    "Mean",
    "Sum",
    "MeanMetricWrapper",
    "Accuracy",
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "SparseCategoricalAccuracy",
    "TopKCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy",
    "AUC",
    "Precision",
    "Recall",
    "TruePositives",
    "TrueNegatives",
    "FalsePositives",
    "FalseNegatives",
    "PrecisionAtRecall",
    "RecallAtPrecision",
    "SensitivityAtSpecificity",
    "SpecificityAtSensitivity",
    "F1Score",
    "FBetaScore",
    "IoU",
    "BinaryIoU",
    "MeanIoU",
    "OneHotIoU",
    "OneHotMeanIoU",
    "ConcordanceCorrelation",
    "PearsonCorrelation",
    "Hinge",
    "SquaredHinge",
    "CategoricalHinge",
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "SparseCategoricalCrossentropy",
    "KLDivergence",
    "Poisson",
    "CosineSimilarity",
    "LogCoshError",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "R2Score",
    "RootMeanSquaredError",
    "binary_accuracy",
    "categorical_accuracy",
    "sparse_categorical_accuracy",
    "top_k_categorical_accuracy",
    "sparse_top_k_categorical_accuracy",
    "concordance_correlation",
    "pearson_correlation",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "sparse_categorical_crossentropy",
    "squared_hinge",
    "get",
    "serialize",
    "deserialize",
]

# Unlike losses, a snake-case name means the class: "hinge" is Hinge().
_snake_case = {
    to_snake_case(name): name for name in __all__ if inspect.isclass(globals().get(name))
}
_short = {
    "bce": "BinaryCrossentropy",
    "mse": "MeanSquaredError",
    "mae": "MeanAbsoluteError",
    "mape": "MeanAbsolutePercentageError",
    "msle": "MeanSquaredLogarithmicError",
}
_catalog = Catalog("metric", globals(), Metric, aliases=_snake_case | _short)


def get(identifier: Any) -> Any:
    """A metric from its name, record, class, or itself; None stays None.

    "accuracy" here is `Accuracy`; in `compile` it is chosen by the shapes (`accuracy_for`).

    Raises:
        ValueError: the name is unknown; the nearest one is offered.
        TypeError: the identifier is none of these.

    >>> get("mse")
    <MeanSquaredError name=mean_squared_error>
    """
    return _catalog.get(identifier)


def serialize(metric: Any) -> Any:
    """The record of a metric, or the name of an exported function.

    >>> serialize(MeanSquaredError())["class_name"]
    'MeanSquaredError'
    """
    return _catalog.serialize(metric)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The metric, or the function, that a record or a name describes.

    Raises:
        ValueError: it names a class that is neither talweg's nor registered.

    >>> deserialize(serialize(Mean(name="loss")))
    <Mean name=loss>
    """
    if isinstance(config, Mapping) and config.get("class_name") == "function":
        with custom_object_scope(custom_objects or {}):
            return function_of(config)
    return _catalog.deserialize(config, custom_objects)
