"""docs/schedules.md: every exported schedule, up to date with the docstrings."""

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def gallery():
    spec = importlib.util.spec_from_file_location("docs_schedules", DOCS / "schedules.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DOCS)
        spec.loader.exec_module(module)
    return module


def test_page_is_up_to_date(gallery):
    written = (DOCS / "schedules.md").read_text()
    assert written == gallery.page(), "run: python docs/schedules.py"


def test_every_schedule_is_on_the_page_with_its_picture(gallery):
    written = (DOCS / "schedules.md").read_text()
    pictures = {path.stem for path in (DOCS / "schedules").glob("*.png")}
    assert pictures == set(gallery.exported())
    for name in pictures:
        assert f"## {name}\n" in written
        assert f"(schedules/{name}.png)" in written


def test_a_picture_shows_its_schedule(gallery):
    for name in gallery.exported():
        schedule = gallery.example(name)
        assert type(schedule).__name__ == name
    line = gallery.draw("Linear").axes[0].lines[0]
    assert line.get_ydata()[400] == pytest.approx(0.05)
