"""A table made ready for a network: columns, target, task, and what was decided on the way.

Two kinds of decision are kept apart. What shapes the network (which columns enter, how many
outputs each one gets) comes from the whole table, so that all folds train one architecture.
What a value becomes (medians, means, deviations, which categories are known) is fitted by
`Table.transformer()` on the rows it is given, so that validation rows never leak into
training rows.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from talweg.core import errors
from talweg.search import reading, targets
from talweg.search.reading import PURPOSE
from talweg.search.targets import Task

if TYPE_CHECKING:
    import pandas as pd

MAX_CATEGORIES = 50
# Hidden units by the number of rows below which they are enough.
HIDDEN_UNITS = ((50_000, (64, 32)), (500_000, (128, 64)), (float("inf"), (256, 128)))


@dataclass(frozen=True, eq=False)
class Table:
    """Features and target of one file, as `read` returns them.

    Attributes:
        features: a frame of float64 numbers, nullable booleans and text (None is missing).
        target: shape (rows,); int32 class codes, or float32 numbers for a regression.
        classes: the label of each code, in order; None for a regression.
        task: "classification" or "regression".
        notes: sentences that say what was dropped, grouped or filled in, and why.
    """

    features: "pd.DataFrame"
    target: np.ndarray
    classes: tuple[Any, ...] | None
    task: Task
    notes: list[str]

    def __len__(self) -> int:
        return len(self.target)

    def transformer(self) -> Any:
        """A fresh, unfitted scikit-learn transformer from rows of `features` to a matrix.

        Numbers: the median for missing ones, then standardized; booleans: 0 and 1; a column
        of 0 and 1 for each of them that has missing values; text: one-hot, at most 50
        categories and one for the rest. The output is dense float32 and equally wide whatever
        rows are fitted: a text column owns as many outputs as the whole table has categories
        of it, and those that the fitted rows do not need stay 0. A category that was not
        among the fitted rows is all zeros.
        """
        compose = errors.extra("sklearn.compose", "data", PURPOSE)
        impute = errors.extra("sklearn.impute", "data", PURPOSE)
        preprocessing = errors.extra("sklearn.preprocessing", "data", PURPOSE)
        pipeline = errors.extra("sklearn.pipeline", "data", PURPOSE)
        columns: Any = self.features
        numbers = list(columns.select_dtypes("float64"))
        booleans = list(columns.select_dtypes("boolean"))
        holes = [name for name in [*numbers, *booleans] if columns[name].isna().any()]
        median = impute.SimpleImputer(strategy="median", keep_empty_features=True)
        floats = preprocessing.FunctionTransformer(_floats)
        parts: list[tuple[str, Any, list[str]]] = [
            (
                "numbers",
                pipeline.make_pipeline(median, preprocessing.StandardScaler()),
                numbers,
            ),
            ("booleans", pipeline.make_pipeline(floats, median), booleans),
            ("missing", preprocessing.FunctionTransformer(_missing), holes),
        ]
        for name in columns.select_dtypes(object):
            one_hot = preprocessing.OneHotEncoder(
                handle_unknown="ignore",
                max_categories=MAX_CATEGORIES + 1,
                sparse_output=False,
            )
            width = min(columns[name].nunique(dropna=False), MAX_CATEGORIES + 1)
            padded = preprocessing.FunctionTransformer(_padded, kw_args={"width": width})
            parts.append((f"categories of {name}", pipeline.make_pipeline(one_hot, padded), [name]))
        return pipeline.make_pipeline(
            compose.ColumnTransformer([part for part in parts if part[2]], sparse_threshold=0),
            preprocessing.FunctionTransformer(np.asarray, kw_args={"dtype": np.float32}),
        )

    def target_transformer(self) -> Any:
        """A fresh StandardScaler for the target of a regression, None for classes.

        It takes and gives columns, shape (rows, 1).
        """
        if self.task == "classification":
            return None
        return errors.extra("sklearn.preprocessing", "data", PURPOSE).StandardScaler()

    @property
    def loss(self) -> str:
        """The name of the loss that suits the output of `build`."""
        if self.classes is None:
            return "mse"
        return "binary_crossentropy" if self._is_binary else "sparse_categorical_crossentropy"

    @property
    def metrics(self) -> list[str]:
        """The names of the metrics worth watching beside the loss."""
        return ["mae"] if self.classes is None else ["accuracy"]

    @property
    def hidden_units(self) -> tuple[int, int]:
        """Units of the two hidden layers of `build`.

        (64, 32) below 50,000 rows, (128, 64) below 500,000, (256, 128) beyond.
        """
        return next(units for rows, units in HIDDEN_UNITS if len(self) < rows)

    def build(self, width: int) -> Any:
        """A new, uncompiled network for this table: two ReLU layers and a fitting output.

        The output is Dense(1, "sigmoid") for two classes, Dense(classes, "softmax") for more,
        Dense(1) for a regression; `loss` and `metrics` name what to compile it with.

        Args:
            width: the number of columns that the fitted `transformer()` puts out.
        """
        from talweg.layers import Dense, Input
        from talweg.models import Sequential

        first, second = self.hidden_units
        if self.classes is None:
            output = Dense(1)
        elif self._is_binary:
            output = Dense(1, activation="sigmoid")
        else:
            output = Dense(len(self.classes), activation="softmax")
        hidden = [Dense(first, activation="relu"), Dense(second, activation="relu")]
        return Sequential([Input(shape=(width,)), *hidden, output])

    @property
    def _is_binary(self) -> bool:
        return self.classes is not None and len(self.classes) == 2


def read(path: str | Path, target: str, task: Literal[Task, "auto"] = "auto") -> Table:
    """Read a CSV or Parquet file for training a network on it.

    Args:
        path: CSV (comma, semicolon or tab; also gzipped) or Parquet.
        target: the name of the column to predict. Rows without it are dropped.
        task: "classification", "regression", or "auto": text, booleans and categories are
            classes, and so are whole numbers of two kinds, or of at most 20 kinds that are
            fewer than 5 % of the rows; anything else is a regression.

    Raises:
        OSError: there is no such file.
        ValueError: the file holds no table, the column is not in it, or the target cannot be
            learned (constant, all missing, a class of one row, over 1,000 classes).
        MissingExtraError: pandas, scikit-learn or pyarrow is not installed.
    """
    if task not in ("auto", "classification", "regression"):
        raise errors.invalid("Table", "task", "'auto', 'classification' or 'regression'", task)
    frame: Any
    frame, notes = reading.load(path)
    if target not in frame:
        raise errors.unknown("column", target, frame.columns)
    labels: Any = frame.pop(target)
    missing = labels.isna().to_numpy()
    if missing.all():
        raise ValueError(f"Table: every value of the target {target!r} is missing.")
    if missing.any():
        notes.append(f"{missing.sum():,} rows without a value of {target} are left out.")
        frame, labels = frame[~missing], labels[~missing]
    if labels.nunique() == 1:
        only = errors.shown(targets.label(labels.iloc[0]))
        raise ValueError(
            f"Table: the target {target!r} must vary, got {only} in all {len(labels):,} rows. "
            "There is nothing to learn."
        )
    kind = targets.guess(labels) if task == "auto" else task
    if kind == "classification":
        values, classes = targets.codes(labels)
    else:
        values, classes = targets.numbers(labels), None
    features = _features(frame.reset_index(drop=True), notes)
    return Table(features, values, classes, kind, notes)


def _features(frame: Any, notes: list[str]) -> "pd.DataFrame":
    """The columns that a network can use; `notes` tells about the others."""
    columns: dict[str, Any] = {}
    for name in frame:
        for part, column in _expanded(frame[name], notes).items():
            reason = _useless(column)
            if reason:
                notes.append(f"{part} is left out: {reason}.")
            else:
                columns[part] = column
    if not columns:
        raise ValueError(
            "Table: at least one feature column must remain beside the target, got none."
            + "".join(f" {note}" for note in notes)
        )
    pandas = errors.extra("pandas", "data", PURPOSE)
    features = pandas.DataFrame(columns)
    _tell_of_missing(features, notes)
    for name in features.select_dtypes(object):
        kinds = features[name].nunique(dropna=False)
        if kinds > MAX_CATEGORIES:
            notes.append(
                f"{name} has {kinds:,} categories; beyond the {MAX_CATEGORIES} most frequent "
                'of the training rows they count as one, "other".'
            )
    return features


def _expanded(column: "pd.Series", notes: list[str]) -> dict[str, "pd.Series"]:
    """A date as days since 1970, month and weekday; numbers beyond float32 as missing."""
    name = str(column.name)
    if column.dtype.kind == "M":
        pandas = errors.extra("pandas", "data", PURPOSE)
        days = (column - pandas.Timestamp(0)) / pandas.Timedelta(days=1)
        known = column.notna()
        month = column.dt.month_name().astype(object).where(known, None)
        weekday = column.dt.day_name().astype(object).where(known, None)
        notes.append(f"{name} is a date and enters as days since 1970, month and weekday.")
        return {name: days, f"{name} (month)": month, f"{name} (weekday)": weekday}
    if column.dtype == np.float64:
        # Their squares, too, would leave float64 when they are standardized.
        infinite = np.abs(column.to_numpy()) > np.finfo(np.float32).max
        if infinite.any():
            notes.append(f"{name}: {infinite.sum():,} infinite or huge values count as missing.")
            column = column.mask(infinite)
    return {name: column}


def _useless(column: "pd.Series") -> str:
    kinds = column.nunique()
    if kinds == 0:
        return "all of its values are missing"
    if kinds == 1 and column.notna().all():
        value = column.iloc[0]
        shown = f"{value:g}" if isinstance(value, float) else errors.shown(value, 30)
        return f"all of its values are {shown}"
    if column.dtype == object and kinds == len(column):
        return "every row has a text of its own, as an identifier does"
    return ""


def _tell_of_missing(features: "pd.DataFrame", notes: list[str]) -> None:
    treatments = {
        "float64": "are filled with the median of the training rows and marked in a column",
        "boolean": "are filled with the median of the training rows and marked in a column",
        "object": "are a category of their own",
    }
    counts: dict[str, list[str]] = {}
    for name in features:
        missing = int(np.count_nonzero(features[name].isna()))
        if missing:
            treatment = treatments[str(features[name].dtype)]
            counts.setdefault(treatment, []).append(f"{name} ({missing:,})")
    notes.extend(
        f"Missing values of {', '.join(columns)} {treatment}."
        for treatment, columns in counts.items()
    )


def _floats(columns: "pd.DataFrame") -> np.ndarray:
    return columns.to_numpy(dtype=np.float64, na_value=np.nan)


def _missing(columns: "pd.DataFrame") -> np.ndarray:
    return columns.isna().to_numpy(dtype=np.float64)


def _padded(columns: np.ndarray, width: int) -> np.ndarray:
    """The outputs that the fitted rows do not need, as zeros at the end."""
    return np.pad(columns, ((0, 0), (0, width - columns.shape[1])))
