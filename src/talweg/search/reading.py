"""From a file to typed columns: CSV (also gzipped) and Parquet.

Whatever the file says, every column leaves here as one of four kinds: float64 numbers
(NaN where missing), nullable booleans, datetimes, or text held as objects (None where
missing). `table.py` builds on these four alone.
"""

import csv
import gzip
import io
import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from talweg.core import errors

if TYPE_CHECKING:
    import pandas as pd

PURPOSE = "talweg compare on a table"
# Spellings, not a case-blind match: "Na" may well be sodium and "none" a real category.
MISSING = frozenset(
    ["", "?", "NA", "N/A", "n/a", "#N/A", "<NA>", "nan", "NaN", "NAN", "null", "NULL", "Null"]
)
# A column with so many numbers among its values is a column of numbers with stray text.
MOSTLY_NUMBERS = 0.95
_DELIMITERS = (",", ";", "\t")
_SNIFFED_LINES = 50
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ].*)?")
_DECIMAL_COMMA = re.compile(r"[-+]?\d*(,\d+)?([eE][-+]?\d+)?")


def load(path: str | Path) -> tuple["pd.DataFrame", list[str]]:
    """Read a table and settle the kind of every column.

    Args:
        path: a CSV file (delimited by comma, semicolon or tab; UTF-8; gzipped or not) or a
            Parquet file. The content decides which, not the name.

    Returns:
        The frame, and sentences about what was changed while reading.

    Raises:
        FileNotFoundError, IsADirectoryError: there is no such file, or it is a folder.
        ValueError: the file is empty, damaged, not UTF-8, or has no rows.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        raise IsADirectoryError(
            f"Table: path must be a CSV or Parquet file, got the folder {str(path)!r}."
        )
    if not path.exists():
        raise FileNotFoundError(
            f"Table: path must be an existing file, got {str(path)!r}. "
            f"It was looked for in {str(path.parent.absolute())!r}."
        )
    content = path.read_bytes()
    if content.startswith(b"\x1f\x8b"):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise refused(path, "an intact gzip file", str(error)) from error
    if not content.strip():
        raise refused(path, "a table with a header and rows", "an empty file")
    if content.startswith(b"PK\x03\x04"):
        raise refused(path, "CSV or Parquet", "a zip or Excel file", "Export it as CSV.")
    is_parquet = content.startswith(b"PAR1") or path.suffix in (".parquet", ".pq")
    frame, notes = _parquet(path, content) if is_parquet else _csv(path, content)
    if not len(frame):
        raise refused(path, "a table with at least one row", "a header without rows")
    return frame, notes


def refused(path: Path, expected: str, got: str, remedy: str = "") -> ValueError:
    """The error of a file that holds something else than a table."""
    return ValueError(f"Table: {path.name!r} must be {expected}, got {got}. {remedy}".rstrip())


def _csv(path: Path, content: bytes) -> tuple["pd.DataFrame", list[str]]:
    pandas = errors.extra("pandas", "data", PURPOSE)
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        remedy = "Convert it: iconv -f utf-16 -t utf-8 old.csv > new.csv"
        raise refused(path, "UTF-8 text", 'UTF-16 (as "Unicode text" of Excel)', remedy)
    try:
        text = content.decode("utf-8-sig").lstrip("\r\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise refused(
            path,
            "UTF-8 text",
            f"the byte 0x{content[error.start]:02x} in line {line}",
            "If it is Latin-1: iconv -f latin1 -t utf-8 old.csv > new.csv",
        ) from error
    if "\x00" in text:
        raise refused(path, "text", "binary content (a zero byte)")
    delimiter = _delimiter(text)
    header = next(csv.reader(io.StringIO(text), delimiter=delimiter))
    names = _names(path, header)
    try:
        # The header is read as a row like the others: its width then binds them all, where
        # otherwise pandas would take the first column of too long rows for row labels.
        frame = pandas.read_csv(
            io.StringIO(text),
            sep=delimiter,
            header=None,
            dtype=str,
            na_filter=False,
            skipinitialspace=True,
            index_col=False,
        )
    except (pandas.errors.ParserError, csv.Error) as error:
        reason = str(error).strip().rpartition("C error: ")[2].rstrip(".")
        raise refused(
            path,
            f"rows of at most {len(names)} fields, as the header has",
            f"{reason!r}",
            "Quote the fields that contain the delimiter.",
        ) from error
    frame = frame.iloc[1:].reset_index(drop=True)
    frame.columns = names
    notes: list[str] = []
    columns = {name: _from_text(frame[name], delimiter, notes) for name in names}
    return pandas.DataFrame(columns), notes


def _delimiter(text: str) -> str:
    """The delimiter that cuts the first lines into the most columns, all equally many."""
    lines = list(_first_lines(text))

    def quality(delimiter: str) -> tuple[float, int]:
        try:
            widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
        except csv.Error:
            return 0.0, 0
        columns = widths[0] if widths else 0
        agreeing = sum(width == columns for width in widths) / max(len(widths), 1)
        return (agreeing if columns > 1 else 0.0), columns

    return max(_DELIMITERS, key=quality)


def _first_lines(text: str) -> list[str]:
    return [line for line, _ in zip(io.StringIO(text), range(_SNIFFED_LINES), strict=False)]


def _names(path: Path, header: list[str]) -> list[str]:
    """Stripped column names; an empty one is named by its position."""
    names = [name.strip() or f"column {index + 1}" for index, name in enumerate(header)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise refused(
            path,
            "a table with different column names",
            f"{', '.join(map(repr, twice))} more than once",
            "Rename one of them.",
        )
    return names


def _from_text(column: "pd.Series", delimiter: str, notes: list[str]) -> "pd.Series":
    """The kind of a CSV column, from its spelling."""
    pandas = errors.extra("pandas", "data", PURPOSE)
    column = _clean(column)
    known = column.dropna()
    if known.empty:
        return column
    kinds = set(known.unique())
    if {value.lower() for value in kinds} <= {"true", "false"}:
        return column.map(lambda value: None if value is None else value.lower() == "true").astype(
            "boolean"
        )
    if delimiter != "," and all(_DECIMAL_COMMA.fullmatch(value) for value in kinds):
        known = known.str.replace(",", ".")
    numbers = pandas.to_numeric(known, errors="coerce")
    stray: Any = known[numbers.isna()]
    if len(stray) <= (1 - MOSTLY_NUMBERS) * len(known):
        if len(stray):
            notes.append(
                f"{column.name}: {len(stray):,} values are no numbers "
                f"(for example {errors.shown(stray.iloc[0], 30)}) and count as missing."
            )
        return numbers.astype("float64").reindex(column.index)
    return _dated(column)


def _dated(column: "pd.Series") -> "pd.Series":
    """Clean text as datetimes where every value that is there is an ISO date."""
    pandas = errors.extra("pandas", "data", PURPOSE)
    known: Any = column.dropna()
    if len(known) and all(_ISO_DATE.fullmatch(value) for value in known.unique()):
        dates = pandas.to_datetime(known, format="ISO8601", utc=True, errors="coerce")
        if dates.notna().all():
            return dates.dt.tz_localize(None).reindex(column.index)
    return column


def _clean(column: "pd.Series") -> "pd.Series":
    """Text as objects, without spaces around it, None where it spells a missing value."""

    def clean(value: Any) -> str | None:
        if not isinstance(value, str):
            return None
        value = value.strip()
        return None if value in MISSING else value

    pandas = errors.extra("pandas", "data", PURPOSE)
    values = np.empty(len(column), dtype=object)
    values[:] = [clean(value) for value in column]
    return pandas.Series(values, index=column.index, name=column.name, dtype=object)


def _parquet(path: Path, content: bytes) -> tuple["pd.DataFrame", list[str]]:
    pandas = errors.extra("pandas", "data", PURPOSE)
    arrow = errors.extra("pyarrow", "data", PURPOSE)
    parquet = errors.extra("pyarrow.parquet", "data", PURPOSE)
    try:
        stored = parquet.ParquetFile(io.BytesIO(content)).read()
    except (arrow.ArrowException, OSError) as error:
        first = str(error).strip().partition("\n")[0].rstrip(".")
        raise refused(path, "an intact Parquet file", f"{first!r} on opening it") from error
    names = _names(path, stored.column_names)
    frame = stored.rename_columns(names).to_pandas(ignore_metadata=True)
    notes: list[str] = []
    columns: dict[str, Any] = {}
    for name in names:
        # Written by pandas for the row labels of a frame; not a column of the user's.
        if name.startswith("__index_level_"):
            continue
        column = _from_types(frame[name])
        if column is None:
            notes.append(f"{name} is left out: it holds neither numbers, text nor dates.")
        else:
            columns[name] = column
    return pandas.DataFrame(columns), notes


def _from_types(column: "pd.Series") -> "pd.Series | None":
    """The kind of a Parquet column, from its stored type; None for lists, bytes and such."""
    pandas = errors.extra("pandas", "data", PURPOSE)
    types = pandas.api.types
    if types.is_bool_dtype(column.dtype):
        return column.astype("boolean")
    if isinstance(column.dtype, pandas.CategoricalDtype):
        return _clean(column.map(str, na_action="ignore").astype(object))
    if types.is_datetime64_any_dtype(column.dtype):
        # The wall clock of the zone, so that weekdays stay what they were for the people there.
        return column.dt.tz_localize(None)
    if types.is_timedelta64_dtype(column.dtype):
        return column.dt.total_seconds()
    if types.is_complex_dtype(column.dtype):
        return None
    if types.is_numeric_dtype(column.dtype):
        return column.astype("float64")
    inferred = types.infer_dtype(column, skipna=True)
    if inferred in ("string", "empty"):
        return _dated(_clean(column))
    if inferred == "boolean":
        return column.astype("boolean")
    if inferred in ("decimal", "integer", "floating", "mixed-integer-float"):
        return pandas.to_numeric(column.astype(object).map(float, na_action="ignore"))
    if inferred in ("date", "datetime", "datetime64"):
        return pandas.to_datetime(column)
    return None
