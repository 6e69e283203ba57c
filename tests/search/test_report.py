"""A comparison is told truly, safely and in one file."""

import base64
import hashlib
import io
import os
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from talweg.search import report


def comparison(optimizers=("sgd", "adam"), rates=(1e-3, 1e-2, 1e-1), diverged=(), epochs=6):
    """A frame and curves; the loss is best at the middle rate of the first optimizer."""
    rows, curves = [], {}
    for place, label in enumerate(optimizers):
        for step, rate in enumerate(rates):
            gone = (label, rate) in diverged
            mean = np.nan if gone else 0.30 + 0.01 * place + 0.05 * abs(step - len(rates) // 2)
            rows.append(
                {
                    "optimizer": label,
                    "learning_rate": rate,
                    "mean": mean,
                    "standard_error": np.nan if gone else 0.0021,
                    "best_epoch": np.nan if gone else 4.0,
                    "diverged": 3 if gone else 0,
                    "members": 3,
                    "seconds": 0.5,
                    "p_value": np.nan if gone else 0.5,
                }
            )
            fall = np.exp(-np.arange(epochs))[None] + np.array([[0.3], [0.31], [0.32]])
            curves[label, rate] = {"loss": fall - 0.01, "val_loss": np.where(gone, np.nan, fall)}
    frame = pd.DataFrame(rows)
    frame["rank"] = frame["mean"].rank(method="min", na_option="bottom").astype(int)
    frame["tie"] = frame["mean"] < 0.32
    return frame, curves


def written(tmp_path, frame, curves, **changes):
    arguments = {
        "figures": {"scores": report.plot_comparison(frame, curves, "val_loss")},
        "title": "Comparison",
        "advice": "Use sgd.",
        "notes": ["a note"],
        "setup": {"folds": 3},
    }
    path = report.write_html(tmp_path / "out.html", frame, **(arguments | changes))
    return path.read_text(encoding="utf-8")


class Page(HTMLParser):
    """All tags with their attributes, and all text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def test_the_page_asks_for_nothing_from_outside(tmp_path):
    page = Page(written(tmp_path, *comparison()))
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "link", "iframe", "object", "embed", "form", "base", "svg"}
    sources = [value for _, attrs in page.tags for key, value in attrs.items() if key == "src"]
    assert sources
    assert all(source.startswith("data:image/svg+xml;base64,") for source in sources)
    assert not [a for _, attrs in page.tags for a in attrs if a in ("href", "style", "srcset")]


def test_the_policy_forbids_everything_but_the_pictures_and_this_style(tmp_path):
    text = written(tmp_path, *comparison())
    policies = [
        attrs["content"]
        for tag, attrs in Page(text).tags
        if tag == "meta" and attrs.get("http-equiv") == "Content-Security-Policy"
    ]
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL).group(1)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policies == [
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    ]
    assert "url(" not in style
    assert "prefers-color-scheme: dark" in style
    assert "@media print" in style


def test_every_name_is_text_and_nothing_else(tmp_path):
    bad = "<img src=x onerror=alert(1)></script>\"'&$x_"
    frame, curves = comparison(optimizers=(bad, "adam"))
    text = written(
        tmp_path,
        frame,
        curves,
        figures={bad: report.plot_comparison(frame, curves, "val_loss")},
        title=bad,
        advice=report.advice(frame, bad, False),
        notes=[bad],
        setup={bad: bad},
    )
    page = Page(text)
    assert not [attrs for _, attrs in page.tags if "onerror" in attrs]
    assert [tag for tag, _ in page.tags].count("img") == 1
    # Title twice, advice, caption, table, note, set-up's name and value.
    assert page.text.count(bad) >= 8
    assert dict(page.tags)["img"]["alt"] == bad


def test_the_pictures_hold_neither_scripts_nor_addresses_to_load(tmp_path):
    page = Page(written(tmp_path, *comparison()))
    source = next(attrs["src"] for tag, attrs in page.tags if tag == "img")
    picture = base64.b64decode(source.partition(",")[2]).decode()
    assert picture.rstrip().endswith("</svg>")
    assert "<script" not in picture
    assert all(link.startswith("#") for link in re.findall(r'href="([^"]*)"', picture))


def test_a_page_that_cannot_be_made_leaves_the_old_one_whole(tmp_path, monkeypatch):
    frame, curves = comparison()
    first = written(tmp_path, frame, curves)

    def fail(descriptor):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        written(tmp_path, frame, curves, title="Second")
    assert (tmp_path / "out.html").read_text(encoding="utf-8") == first
    assert [path.name for path in tmp_path.iterdir()] == ["out.html"]


def test_a_missing_folder_and_a_folder_as_the_file_are_refused(tmp_path):
    frame, _ = comparison()
    with pytest.raises(FileNotFoundError, match="mkdir -p"):
        report.write_html(tmp_path / "no" / "out.html", frame, {}, "t", "a")
    with pytest.raises(IsADirectoryError, match="must be a file"):
        report.write_html(tmp_path, frame, {}, "t", "a")


def test_the_page_has_a_row_per_configuration_best_first(tmp_path):
    frame, curves = comparison(diverged=[("adam", 0.1)])
    text = written(tmp_path, frame, curves)
    rows = re.findall(r'<tr class="(\w+)">(.*?)</tr>', text)
    assert [kind for kind, _ in rows] == ["best", "tie", "worse", "worse", "worse", "worse"]
    assert "sgd" in rows[0][1]
    assert "0.3000 ± 0.0021" in rows[0][1]
    assert "tie, p = 0.500" in rows[1][1]
    assert "3 of 3" in rows[-1][1]


def test_advice_names_the_best_its_error_and_the_ties():
    frame, _ = comparison()
    told = report.advice(frame, "val_loss", False)
    assert told == (
        "Use sgd with a learning rate of 0.01: the lowest val_loss, 0.3000 ± 0.0021 "
        "(mean ± standard error of 3 runs). adam at 0.01 cannot be told from it."
    )
    assert "highest val_accuracy" in report.advice(frame, "val_accuracy", True)


def test_advice_counts_many_ties_and_says_when_there_is_none():
    frame, _ = comparison()
    told = report.advice(frame.assign(tie=True), "val_loss", False)
    assert "5 other configurations cannot be told from it, among them adam at 0.01" in told
    alone = frame.assign(tie=frame["rank"] == 1)
    assert "worse by more than chance explains" in report.advice(alone, "val_loss", False)


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        ((1e-2, 1e-1), "smallest rate tried: extend the grid downwards"),
        ((1e-3, 1e-2), "largest rate tried: extend the grid upwards"),
    ],
)
def test_advice_warns_at_the_edges_of_the_grid(kept, words):
    frame, _ = comparison()
    assert words in report.advice(frame[frame["learning_rate"].isin(kept)], "val_loss", False)
    assert "extend" not in report.advice(frame, "val_loss", False)
    single = frame[frame["learning_rate"] == 1e-2]
    assert "extend" not in report.advice(single, "val_loss", False)


def test_advice_warns_when_many_or_all_diverge():
    frame, _ = comparison(diverged=[("sgd", 0.1), ("adam", 0.1)])
    assert "2 of 6 configurations diverged" in report.advice(frame, "val_loss", False)
    gone, _ = comparison(optimizers=("sgd",), rates=(1.0,), diverged=[("sgd", 1.0)])
    assert "All 1 configurations diverged" in report.advice(gone, "val_loss", False)


@pytest.mark.parametrize(
    ("mean", "error", "text"),
    [
        (0.31234, 0.00213, "0.3123 ± 0.0021"),
        (12345.6, 78.9, "12346 ± 79"),
        (0.5, float("nan"), "0.5"),
        (float("nan"), float("nan"), "–"),
        (3e-12, 2e-13, "3e-12 ± 2e-13"),
    ],
)
def test_a_score_is_shown_to_the_second_digit_of_its_error(mean, error, text):
    frame, _ = comparison(rates=(0.1,), optimizers=("sgd",))
    frame = frame.assign(mean=mean, standard_error=error, rank=1)
    assert text in report.table_text(frame, 60)


@pytest.mark.parametrize("width", [80, 120])
def test_the_ruled_table_fits_its_terminal_without_cuts(width):
    frame, _ = comparison(diverged=[("adam", 0.1)])
    screen = io.StringIO()
    Console(file=screen, width=width).print(report.table_text(frame, width, top=4))
    lines = screen.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in screen.getvalue()
    assert "and 2 more" in screen.getvalue()
    assert ("seconds" in screen.getvalue()) == (width == 120)


def test_the_plain_table_keeps_the_width_and_no_control_characters_pass():
    frame, _ = comparison(optimizers=("sgd\x1b[31m", "[red]adam"))
    text = report.table_text(frame, 40, top=3)
    assert isinstance(text, str)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 40
    # A p-value that was cut in the middle would be another one.
    assert lines[1].endswith("…")
    assert "\x1b" not in text
    screen = io.StringIO()
    Console(file=screen, width=100).print(report.table_text(frame, 100))
    assert "[red]adam" in screen.getvalue()
    assert "\x1b" not in screen.getvalue()


def test_the_picture_has_a_line_per_optimizer_and_the_best_marked():
    frame, curves = comparison()
    figure = report.plot_comparison(frame, curves, "val_loss")
    left, right = figure.axes
    assert left.get_xscale() == "log"
    labels = [line.get_label() for line in left.lines if not line.get_label().startswith("_")]
    assert labels == ["sgd", "adam"]
    star = next(line for line in left.lines if line.get_marker() == "*")
    assert (star.get_xdata()[0], star.get_ydata()[0]) == (0.01, pytest.approx(0.3))
    assert left.texts[0].get_text() == "sgd at 0.01: 0.3"
    assert [line.get_linestyle() for line in right.lines] == ["--", "-", "--", "-"]
    assert {text.get_text() for text in right.texts} == {"sgd  0.01", "adam  0.01"}


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_rates_that_nearly_diverged_do_not_flatten_the_others(sign):
    frame, curves = comparison(rates=(1e-4, 1e-3, 1e-2, 1e-1, 1.0))
    means = frame["mean"].where(frame["learning_rate"] < 1, 1e6) * sign
    figure = report.plot_comparison(frame.assign(mean=means), curves, "val_loss")
    low, high = figure.axes[0].get_ylim()
    assert high - low < 1
    near = means[frame["learning_rate"] < 1]
    assert low < near.min() < near.max() < high
    arrow = "^" if sign > 0 else "v"
    beyond = [line for line in figure.axes[0].lines if line.get_marker() == arrow]
    assert sum(len(line.get_xdata()) for line in beyond) == 2


def test_diverged_points_are_crosses_inside_the_picture():
    frame, curves = comparison(diverged=[("sgd", 0.1), ("adam", 0.1)])
    axes = report.plot_comparison(frame, curves, "val_loss").axes[0]
    crosses = [line for line in axes.lines if line.get_marker() == "x"]
    assert [line.get_xdata().tolist() for line in crosses] == [[0.1], [0.1]]
    low, high = axes.get_ylim()
    heights = [line.get_ydata()[0] for line in crosses]
    assert low < min(heights) < max(heights) < high


@pytest.mark.sampled(count=2)
@pytest.mark.parametrize(
    "case",
    [
        {"diverged": [(o, r) for o in ("sgd", "adam") for r in (1e-3, 1e-2, 1e-1)]},
        {"epochs": 1},
        {"rates": (0.1,)},
        {"optimizers": ("sgd",), "rates": (0.0, 0.1)},
        {"optimizers": tuple(f"optimizer {i} $x_$" for i in range(12)), "rates": (0.1, 1.0)},
    ],
)
def test_every_comparison_can_be_drawn_at_its_size(case):
    frame, curves = comparison(**case)
    figure = report.plot_comparison(frame, curves, "val_loss")
    figure.canvas.draw()
    assert figure.canvas.get_width_height() == (1200, 500)


def test_curves_without_validation_and_missing_curves_are_drawn():
    frame, curves = comparison()
    training = {key: {"loss": logs["loss"]} for key, logs in curves.items()}
    right = report.plot_comparison(frame, training, "loss").axes[1]
    assert len(right.lines) == 2
    assert len(right.texts) == 2
    empty = report.plot_comparison(frame, {}, "loss").axes[1]
    assert empty.texts[0].get_text() == "no curves"


def test_a_frame_without_rows_is_refused():
    with pytest.raises(ValueError, match="at least one row"):
        report.plot_comparison(comparison()[0].iloc[:0], {}, "loss")


def test_nothing_of_pyplot_is_loaded():
    import subprocess
    import sys

    code = (
        "import sys; import talweg.search.report, talweg.search.table, talweg.search.statistics;"
        "assert not {'pandas', 'sklearn', 'matplotlib', 'pyarrow'} & set(sys.modules);"
        "import pandas as pd; from talweg.search.report import plot_comparison;"
        "plot_comparison(pd.DataFrame([dict(optimizer='a', learning_rate=1., mean=1.,"
        " standard_error=1., rank=1, diverged=0)]), {}, 'loss');"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
