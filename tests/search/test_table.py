"""Tables are read as they are meant, prepared without leaks, and refused with a reason."""

import gzip
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from talweg.search import table

ADULT = Path(__file__).parents[2] / "examples" / "data" / "adult.csv.gz"


@pytest.fixture
def read(tmp_path):
    """Write text, bytes or a frame to a file, and read it as a table."""

    def call(content, target="y", task="auto", name="data.csv"):
        path = tmp_path / name
        if isinstance(content, pd.DataFrame):
            content.to_parquet(path)
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return table.read(path, target, task)

    return call


def csv_of(frame, **options):
    return frame.to_csv(index=False, **options)


def mixed(rows=120, seed=0):
    """A frame with every kind of column, some values missing, two classes."""
    draw = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": draw.integers(18, 80, rows).astype(float),
            "height": draw.normal(170, 10, rows).round(2),
            "member": draw.random(rows) < 0.5,
            "colour": draw.choice(["red", "green", "blue"], rows),
            "city": [f"town {i % 70}" for i in draw.permutation(rows)],
            "since": [str(day)[:10] for day in pd.date_range("2020-01-30", periods=rows)],
            "y": draw.choice(["no", "yes"], rows),
        }
    )
    frame.loc[3:8, "age"] = np.nan
    frame.loc[5:9, "colour"] = None
    return frame


# What is read


def test_the_census_is_read_as_it_is_documented():
    census = table.read(ADULT, "income")
    assert len(census) == 32_561
    assert census.features.shape == (32_561, 14)
    assert len(list(census.features.select_dtypes(object))) == 8
    assert (census.task, census.classes) == ("classification", ("<=50K", ">50K"))
    assert census.target.dtype == np.int32
    assert np.bincount(census.target).tolist() == [24_720, 7_841]
    assert census.notes == [
        "Missing values of workclass (1,836), occupation (1,843), native_country (583) are a "
        "category of their own."
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("zipped", [False, True])
def test_delimiters_and_gzip_are_seen_in_the_content(read, delimiter, zipped):
    content = csv_of(mixed(), sep=delimiter).encode("utf-8-sig")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = read(gzip.compress(content) if zipped else content, name="any.txt")
    plain = read(csv_of(mixed()))
    pd.testing.assert_frame_equal(got.features, plain.features)
    assert np.array_equal(got.target, plain.target)


def test_parquet_and_csv_of_one_frame_give_one_table(read):
    frame = mixed()
    typed = frame.assign(
        since=pd.to_datetime(frame["since"]), colour=frame["colour"].astype("category")
    )
    stored, text = read(typed, name="data.parquet"), read(csv_of(frame))
    pd.testing.assert_frame_equal(stored.features, text.features)
    assert np.array_equal(stored.target, text.target)
    assert stored.notes == text.notes


def test_parquet_types_are_taken_as_stored(read):
    frame = pd.DataFrame(
        {
            "zip": ["01", "02"] * 5,
            "when": pd.date_range("2024-01-01", periods=10, tz="Europe/Berlin"),
            "lasts": pd.to_timedelta(range(10), "h"),
            "flag": pd.array([True, None] * 5, "boolean"),
            "count": pd.array([1, None, 3, 4, 5] * 2, "Int64"),
            "list": [[1]] * 10,
            "y": np.arange(10) + 0.5,
        },
        index=list("abcdefghij"),
    )
    got = read(frame, name="x.parquet")
    kinds = {name: str(dtype) for name, dtype in got.features.dtypes.items()}
    assert kinds == {
        "zip": "object",
        "when": "float64",
        "when (weekday)": "object",
        "lasts": "float64",
        "flag": "boolean",
        "count": "float64",
    }
    assert got.features["when (weekday)"][0] == "Monday"
    assert got.features["lasts"].tolist()[:3] == [0.0, 3600.0, 7200.0]
    assert got.features["zip"].tolist() == ["01", "02"] * 5
    assert any("list is left out" in note for note in got.notes)


@pytest.mark.parametrize("spelling", ["?", "", "NA", "nan", "null", " ? ", " NaN ", "  "])
def test_spellings_of_a_missing_value_also_between_spaces(read, spelling):
    rows = [f"{i},{'ab'[i % 2]},{i % 2}" for i in range(20)]
    rows[4] = f"{spelling},{spelling},1"
    got = read("x,c,y\n" + "\n".join(rows))
    assert np.flatnonzero(got.features["x"].isna()).tolist() == [4]
    assert got.features["c"][4] is None
    assert any("x (1)" in note and "median" in note for note in got.notes)
    assert any("c (1)" in note and "category" in note for note in got.notes)


def test_real_categories_that_look_missing_are_kept(read):
    got = read("c,y\n" + "None,1\nNa,0\n" * 10)
    assert got.features["c"].tolist() == ["None", "Na"] * 10


def test_numbers_with_stray_text_stay_numbers_and_this_is_said(read):
    rows = [f"{i}.5,{i % 2}" for i in range(40)]
    got = read("x,y\n" + "\n".join([*rows, "n.d.,1"]))
    assert got.features["x"].dtype == np.float64
    assert "x: 1 values are no numbers (for example 'n.d.') and count as missing." in got.notes


def test_decimal_commas_are_numbers_where_the_comma_is_no_delimiter(read):
    got = read("x;y\n1,5;a\n-2,25;b\n3;a\n4;b\n")
    assert got.features["x"].tolist() == [1.5, -2.25, 3.0, 4.0]


def test_dates_become_days_month_and_weekday(read):
    got = read("when,y\n1970-01-02,1.5\n1970-02-03,2.5\n,4.5\n1970-02-04 12:00:00,3.5\n")
    assert got.features["when"].tolist()[:2] == [1.0, 33.0]
    assert got.features["when"][3] == 34.5
    assert got.features["when (month)"].tolist() == ["January", "February", None, "February"]
    assert got.features["when (weekday)"].tolist() == ["Friday", "Tuesday", None, "Wednesday"]


def test_numbers_beyond_float32_count_as_missing(read):
    got = read("x,y\n1,1.5\ninf,2.5\n3,3.5\n-inf,1.5\n-1e300,1\n")
    assert got.features["x"].isna().tolist() == [False, True, False, True, True]
    assert "x: 3 infinite or huge values count as missing." in got.notes


def test_useless_columns_are_left_out_and_named(read):
    rows = [f"{i},7,,name {i},{'ab'[i % 2]}" for i in range(30)]
    got = read("x,same,none,id,y\n" + "\n".join(rows))
    assert list(got.features) == ["x"]
    told = " ".join(got.notes)
    assert "same is left out: all of its values are 7." in told
    assert "none is left out: all of its values are missing" in told
    assert "id is left out: every row has a text of its own" in told


def test_rows_without_a_target_are_left_out_and_counted(read):
    got = read("x,y\n1,a\n2,?\n3,b\n4,a\n5,b\n6,\n")
    assert got.features["x"].tolist() == [1, 3, 4, 5]
    assert got.target.tolist() == [0, 1, 0, 1]
    assert "2 rows without a value of y are left out." in got.notes


# The task


@pytest.mark.parametrize(
    ("values", "task", "classes"),
    [
        (["b", "a"] * 20, "classification", ("a", "b")),
        (["True", "False"] * 20, "classification", (False, True)),
        ([2, 10] * 5, "classification", (2, 10)),
        ([1, 2, 3, 10] * 30, "classification", (1, 2, 3, 10)),
        ([1, 2, 3, 10] * 10, "regression", None),
        (list(range(21)) * 40, "regression", None),
        ([0.5, 1.5] * 40, "regression", None),
    ],
)
def test_auto_takes_words_and_few_whole_numbers_for_classes(read, values, task, classes):
    got = read("x,y\n" + "\n".join(f"{i},{value}" for i, value in enumerate(values)))
    assert (got.task, got.classes) == (task, classes)
    assert got.target.dtype == (np.int32 if classes else np.float32)
    if classes:
        assert [str(classes[code]) for code in got.target] == list(map(str, values))
    else:
        assert got.target.tolist() == values


def test_the_task_can_be_told(read):
    text = "x,y\n" + "\n".join(f"{i},{i % 4 + 0.5}" for i in range(40))
    assert read(text, task="classification").classes == (0.5, 1.5, 2.5, 3.5)
    text = "x,y\n" + "\n".join(f"{i},{i % 2}" for i in range(40))
    got = read(text, task="regression")
    assert got.classes is None
    assert got.target_transformer().fit_transform(got.target[:, None]).std() == pytest.approx(1)
    assert read(text).target_transformer() is None


# The transformer


def test_numbers_are_standardized_and_filled_with_the_median_of_the_fitted_rows(read):
    got = read("x,y\n1,1.5\n2,2.5\n6,3.5\n,4.5\n1000,5.5\n")
    matrix = got.transformer().fit(got.features[:4]).transform(got.features)
    filled = np.array([1, 2, 6, 2])
    expected = (np.append(filled, 1000) - filled.mean()) / filled.std()
    assert matrix[:, 0] == pytest.approx(expected, rel=1e-6)
    assert matrix[:, 1].tolist() == [0, 0, 0, 1, 0]


def test_booleans_are_zeros_and_ones(read):
    got = read("b,y\ntrue,1.5\nFalse,2.5\nTRUE,3.5\n?,4.5\ntrue,0.5\n")
    matrix = got.transformer().fit_transform(got.features)
    assert matrix.tolist() == [[1, 0], [0, 0], [1, 0], [1, 1], [1, 0]]


def test_categories_are_one_hot_and_unknown_ones_all_zeros(read):
    got = read("c,y\nb,1.5\na,2.5\n?,3.5\nb,4.5\nc,5.5\n")
    matrix = got.transformer().fit(got.features[:4]).transform(got.features)
    assert matrix.shape == (5, 4)
    assert matrix[:4].sum(axis=1).tolist() == [1, 1, 1, 1]
    assert len(np.unique(matrix[:3], axis=0)) == 3
    assert (matrix[0] == matrix[3]).all()
    assert matrix[4].tolist() == [0, 0, 0, 0]


def test_rare_categories_beyond_fifty_share_one_output(read):
    names = [f"c{i}" for i in range(60)]
    rows = [*names, *names[:50]]
    got = read("c,y\n" + "\n".join(f"{name},{i}.5" for i, name in enumerate(rows)))
    assert any("c has 60 categories" in note and "50 most frequent" in note for note in got.notes)
    matrix = got.transformer().fit_transform(got.features)
    assert matrix.shape[1] == 51
    assert (matrix.sum(axis=1) == 1).all()
    assert len(np.unique(matrix[50:60], axis=0)) == 1
    assert len(np.unique(matrix[:50], axis=0)) == 50


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "mixed.csv"
    path.write_text(csv_of(mixed()))
    return table.read(path, "y")


@given(order=st.permutations(range(120)), count=st.integers(5, 100))
def test_the_matrix_is_as_wide_whatever_rows_are_fitted(prepared, order, count):
    got = prepared
    matrix = got.transformer().fit(got.features.iloc[order[:count]]).transform(got.features)
    # Age and its hole, height, member; colours and their hole; cities and the rest; the date,
    # its five months and seven weekdays.
    assert matrix.shape == (120, 3 + 1 + 4 + 51 + 1 + 5 + 7)
    assert matrix.dtype == np.float32
    assert np.isfinite(matrix).all()


@given(order=st.permutations(range(120)), seed=st.integers(0, 2**31))
def test_validation_rows_never_change_what_training_rows_become(prepared, order, seed):
    got, other = prepared, prepared.features.copy()
    training, validation = order[:80], order[80:]
    # Other values of the same columns, drawn from elsewhere and some never seen.
    other.iloc[validation] = other.iloc[np.random.default_rng(seed).permutation(validation)]
    other.loc[validation[:5], "age"] = 1e6
    other.loc[validation[:5], "colour"] = "ultraviolet"
    changed = table.Table(other, got.target, got.classes, got.task, [])
    first = got.transformer().fit_transform(got.features.iloc[training])
    second = changed.transformer().fit_transform(other.iloc[training])
    # A new category widens the matrix by outputs that these rows leave at zero.
    blocks = [matrix[:, np.any(matrix != 0, axis=0)] for matrix in (first, second)]
    assert np.array_equal(*blocks)
    assert blocks[0].shape[1] > 50


def test_fitting_says_nothing_and_a_fresh_transformer_comes_each_time(read):
    got = read(csv_of(mixed()))
    assert got.transformer() is not got.transformer()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # A fold without any value of a column.
        empty = got.features.iloc[3:9]
        assert np.isfinite(got.transformer().fit(empty).transform(got.features)).all()


# The network


@pytest.mark.parametrize(
    ("values", "loss", "metric", "units", "activation"),
    [
        ("ab", "binary_crossentropy", "accuracy", 1, "sigmoid"),
        ("abc", "sparse_categorical_crossentropy", "accuracy", 3, "softmax"),
        ([0.5, 1.5, 2.5], "mse", "mae", 1, "linear"),
    ],
)
def test_the_default_network_fits_the_target(read, values, loss, metric, units, activation):
    got = read("x,y\n" + "\n".join(f"{i},{values[i % len(values)]}" for i in range(12)))
    assert (got.loss, got.metrics) == (loss, [metric])
    model = got.build(7)
    assert [layer.units for layer in model.layers] == [64, 32, units]
    assert model.layers[-1].activation.__name__ == activation
    assert model.predict(np.zeros((2, 7), np.float32), verbose=0).shape == (2, units)


def test_more_rows_get_more_hidden_units():
    def units(rows):
        return table.Table(pd.DataFrame(), np.zeros(rows), None, "regression", []).hidden_units

    assert [units(n) for n in (49_999, 50_000, 499_999, 500_000)] == [
        (64, 32),
        (128, 64),
        (128, 64),
        (256, 128),
    ]


# Refusals


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"existing file, got .*nothing\.csv"):
        table.read(tmp_path / "nothing.csv", "y")
    with pytest.raises(IsADirectoryError, match="got the folder"):
        table.read(tmp_path, "y")


REFUSED = {
    "empty file": (b"", "header and rows, got an empty file"),
    "blank file": (b" \n\n", "got an empty file"),
    "header only": (b"x,y\n", "at least one row, got a header without rows"),
    "missing column": (b"x,why\n1,a\n2,b\n", r"Unknown column 'y'\. "),
    "constant target": (b"x,y\n1,a\n2,a\n", "'y' must vary, got 'a' in all 2 rows"),
    "constant number": (b"x,y\n1,7\n2,7\n", "'y' must vary, got 7 in all 2 rows"),
    "one row per class": (b"x,y\n1,a\n2,b\n3,c\n", "one row per class: 3 labels in 3 rows"),
    "a lonely class": (b"x,y\n1,a\n2,b\n3,b\n", "at least two rows, got a single one of 'a'"),
    "no feature": (b"x,y\n1,a\n1,b\n1,a\n1,b\n", "at least one feature column.*x is left out"),
    "target alone": (b"y\na\nb\na\nb\n", r"at least one feature column.*got none\.$"),
    "duplicate names": (b"x,x ,y\n1,2,a\n1,3,b\n", "'x' more than once"),
    "missing target": (b"x,y\n1,?\n2,\n", "every value of the target 'y' is missing"),
    "too many fields": (b"x,y\n1,a\n2,b,3\n", r"at most 2 fields.*line 3, saw 3.*Quote"),
    "too many fields at once": (b"x,y\n1,a,3\n2,b,3\n", r"at most 2 fields"),
    "latin-1": (b"x,y\n1,a\n2,\xe9\n", "UTF-8 text, got the byte 0xe9 in line 3.*iconv"),
    "utf-16": ("x,y\n1,a\n".encode("utf-16"), "got UTF-16.*iconv -f utf-16"),
    "binary": (b"x,y\n1,\x00\n", "zero byte"),
    "excel": (b"PK\x03\x04abc", "Excel.*Export it as CSV"),
    "broken gzip": (gzip.compress(b"x,y\n1,2\n" * 99)[:-20], "intact gzip"),
    "broken parquet": (b"PAR1" + b"\x00" * 40, "intact Parquet"),
    "infinite target": (b"x,y\n1,1.5\n2,inf\n3,2.5\n", r"finite in float32, got inf in row 2"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_learned_from_is_refused_with_the_reason(read, case):
    content, words = REFUSED[case]
    with pytest.raises(ValueError, match=words):
        read(content)


def test_a_nearly_right_column_is_offered(read):
    with pytest.raises(ValueError, match="Did you mean 'income'"):
        read("x,income\n1,a\n2,b\n", target="incme")


def test_over_a_thousand_classes_are_refused(read):
    rows = "\n".join(f"{i},c{i // 2}" for i in range(2_002))
    with pytest.raises(ValueError, match="at most 1,000 classes, got 1,001"):
        read("x,y\n" + rows)


def test_text_is_no_target_of_a_regression_and_a_task_must_be_known(read):
    text = "x,y\n1,a\n2,b\n3,a\n4,b\n"
    with pytest.raises(ValueError, match=r"'classification' for the target 'y'.*'a'"):
        read(text, task="regression")
    with pytest.raises(ValueError, match="task must be 'auto'"):
        read(text, task="clustering")


def test_a_target_that_is_constant_in_float32_is_refused(read):
    with pytest.raises(ValueError, match="must vary in float32"):
        read("x,y\n1,1000000000.1\n2,1000000000.2\n3,1000000000.3\n")


def test_dates_kept_as_text_in_parquet_are_dates_as_in_csv(read):
    frame = pd.DataFrame(
        {"day": ["2024-01-01", None, "2024-03-05", "2024-04-01"], "y": ["a", "b", "a", "b"]}
    )
    from_parquet, from_csv = read(frame), read(csv_of(frame))
    assert "day is a date" in " ".join(from_parquet.notes)
    pd.testing.assert_frame_equal(from_parquet.features, from_csv.features)


def test_duplicated_names_in_parquet_are_refused(tmp_path):
    import pyarrow
    from pyarrow import parquet

    stored = pyarrow.table([[1, 2], [3, 4], [0, 1]], names=["x", "x", "y"])
    parquet.write_table(stored, tmp_path / "x.parquet")
    with pytest.raises(ValueError, match="'x' more than once"):
        table.read(tmp_path / "x.parquet", "y")


def test_a_missing_extra_is_named(read, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(ImportError, match=r"talweg compare on a table needs pandas.*\[data\]"):
        read("x,y\n1,2\n")
