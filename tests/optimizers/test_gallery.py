"""docs/optimizers.md: every export, up to date with the docstrings; its table is of a run."""

import importlib.util
import re
from pathlib import Path

import pytest

from talweg import optimizers
from talweg.testing.landscapes import LANDSCAPES, REQUIRED

pytest.importorskip("matplotlib")

DOCS = Path(__file__).parents[2] / "docs"
WRITTEN = (DOCS / "optimizers.md").read_text()


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("docs_optimizers", DOCS / "optimizers.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DOCS)
        spec.loader.exec_module(module)
    return module


def test_text_is_up_to_date(script):
    again = script.page(script.table_of(WRITTEN))
    assert again == WRITTEN, "run: python docs/optimizers.py --text"


def test_every_export_is_on_the_page_and_every_optimizer_has_its_picture(script):
    pictures = {path.stem: path for path in (DOCS / "optimizers").glob("*.png")}
    assert set(pictures) == set(script.LISTED)
    for name in optimizers.__all__:
        heading = f"### {name}\n" if name in pictures else f"- `{name}`: "
        assert heading in WRITTEN
    for name in pictures:
        assert f"(optimizers/{name}.png)" in WRITTEN
    assert sum(path.stat().st_size for path in pictures.values()) < 2_000_000


def test_table_has_a_row_for_each_listed_optimizer_all_solved_where_required(script):
    head, _, *rows = script.table_of(WRITTEN).splitlines()
    columns = [cell.strip() for cell in head.strip("|").split("|")][1:]
    assert columns == list(LANDSCAPES)
    listed = [f"`{make()!r}`" for make in script.LISTED.values()]
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == listed, (
        "run: python docs/optimizers.py"
    )
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split(" | ")][1:]
        assert len(cells) == len(LANDSCAPES)
        for name, cell in zip(columns, cells, strict=True):
            solved = re.fullmatch(r"[\d,]+", cell)
            assert solved or re.fullmatch(r"\*(\S+|diverged)\*", cell)
            assert solved or name not in REQUIRED


def test_a_picture_shows_the_path_from_the_start_to_the_minimum(script):
    valley, bowl = script.draw("Rprop").axes
    for axes, start, end in ((valley, (-1.5, 2.0), (1, 1)), (bowl, (-3.5, 0.9), (0, 0))):
        line = axes.lines[0].get_xydata()
        assert tuple(line[0]) == pytest.approx(start)
        assert tuple(line[-1]) == pytest.approx(end, abs=0.1)


def test_defaults_are_those_of_a_class_and_no_more(script):
    assert (
        script.defaults(optimizers.SGD) == "SGD(learning_rate=0.01, momentum=0.0, nesterov=False)"
    )
    assert "weight_decay=0.004" in script.defaults(optimizers.AdamW)
    assert "weight_decay" not in script.defaults(optimizers.Adam)
    assert script.defaults(optimizers.SAM) == "SAM(inner_optimizer, rho=0.05, adaptive=False)"
