"""The documentation runs: docstrings of all modules, code blocks of all pages, skeletons."""

import contextlib
import doctest
import importlib
import importlib.util
import io
import pkgutil
import re
from pathlib import Path

import pytest

import talweg

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "ARCHITECTURE.md"]
PAGES = [page for page in PAGES if page.exists()] + sorted((ROOT / "docs").rglob("*.md"))
SKELETONS = sorted((ROOT / "docs" / "skeletons").glob("*.py"))
KINDS = {"optimizer", "schedule", "callback", "layer", "loss", "metric"}
NOT_RUN = "<!-- not run -->"
MODULES = [
    module.name
    for module in pkgutil.walk_packages(talweg.__path__, "talweg.")
    if not module.name.endswith("__main__")
]


def run_examples(module):
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE, verbose=False)
    assert not result.failed, f"{result.failed} examples of {module.__name__} fail"


def blocks_of(text):
    """The Python blocks of a page, those under the marker left out."""
    for match in re.finditer(r"^```python\n(.*?)^```", text, re.M | re.S):
        if not text[: match.start()].rstrip().endswith(NOT_RUN):
            yield match.group(1)


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_module_run(name):
    run_examples(importlib.import_module(name))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_of_page_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scope = {"__name__": "page"}
    for block in blocks_of(page.read_text()):
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(block, str(page), "exec"), scope)


@pytest.mark.parametrize("path", SKELETONS, ids=lambda path: path.stem)
def test_skeleton_runs(path):
    spec = importlib.util.spec_from_file_location(f"skeleton_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    run_examples(module)
    assert len(path.read_text().splitlines()) <= 70, "a skeleton is short"


def test_every_kind_has_a_skeleton():
    assert {path.stem for path in SKELETONS} == KINDS


def test_marked_blocks_are_not_run():
    text = f"a\n```python\nx = 1\n```\n{NOT_RUN}\n```python\ny = 1\n```\n\n```python\nz = 1\n```\n"
    assert list(blocks_of(text)) == ["x = 1\n", "z = 1\n"]
