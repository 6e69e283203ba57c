"""The benchmarks import, and what they measure can be built, without running them."""

import importlib
import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import talweg

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py"))


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(ROOT))

    def load(name: str) -> ModuleType:
        return importlib.import_module(f"benchmarks.{name}")

    return load


@pytest.mark.parametrize("name", MODULES)
def test_every_module_imports_without_a_peer(load, name: str):
    assert load(name).__doc__


MACHINE = {
    "processor": "P", "cores": 2, "memory_gib": 1, "system": "S", "python": "3", "versions": {},
}  # fmt: skip


def test_every_script_compiles():
    scripts = list((ROOT / "benchmarks" / "scripts").glob("*.py"))
    assert scripts
    for script in scripts:
        compile(script.read_text(), str(script), "exec")


SHAPES = {
    "small": (1,), "dense": (10,), "cnn": (10,), "lstm": (1,), "transformer": (64, 1000),
    "embedding": (1,), "table": (1,),
}  # fmt: skip


def test_every_workload_of_a_model_is_built_below(load):
    workloads = load("workloads").WORKLOADS
    assert workloads.keys() == SHAPES.keys()


@pytest.mark.sampled(count=3)
@pytest.mark.parametrize("name", SHAPES)
def test_a_workload_builds_on_talweg(load, name: str):
    workload = load("workloads").WORKLOADS[name].quick()
    x, y = workload.data(workload.batch_size)
    model = workload.model(talweg)
    assert model(x).shape == (workload.batch_size, *SHAPES[name])
    assert len(y) == workload.batch_size
    assert workload.rows % workload.batch_size == 0


def test_demands_and_subjects_name_contestants_of_their_row(load):
    for row in load("rows").ROWS.values():
        named = {*row.subjects, *(peer for demand in row.demands for peer in demand.against)}
        assert named <= set(row.contestants)
        assert not row.baseline or row.baseline in row.contestants


def test_ratios_are_medians_over_pairs_and_the_best_peer_is_the_fastest(load):
    rows, measure = load("rows"), load("measure")
    row = rows.ROWS["dense"]
    result = measure.Result(
        seconds={"talweg": [1.0, 2.0, 4.0], "torch": [2.0, 2.0, 2.0], "keras-jax": [9.0] * 3}
    )
    torch, keras, best = measure.compare(row, result)
    assert (torch.peer, torch.ratio, torch.low, torch.high) == ("torch", 1.0, 0.5, 2.0)
    assert (keras.peer, keras.ratio, keras.met) == ("keras-jax", 4.5, None)
    assert (best.peer, best.best, best.met) == ("torch", True, True)
    result.seconds["talweg"] = [2.5] * 3
    assert measure.compare(row, result)[-1].met is False


def test_markdown_replaces_the_table_between_the_marks_only(load, tmp_path: Path):
    report, measure = load("report"), load("measure")
    result = measure.Result(
        seconds={"talweg": [1e-3], "keras-jax": [3e-3]}, skipped={"torch": ["torch"]},
        date="today", machine=MACHINE,
    )  # fmt: skip
    elsewhere = replace(result, date="yesterday", machine={**MACHINE, "processor": "Q"})
    report.save({"cnn": elsewhere, "lstm": elsewhere}, tmp_path / "results.json")
    results = report.save({"cnn": result}, tmp_path / "results.json")
    assert json.loads((tmp_path / "results.json").read_text())["cnn"]["machine"] == MACHINE
    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.write_markdown(report.load(tmp_path / "results.json"), page)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "3×" in text
    assert "skipped PyTorch loop: torch not installed" in text
    assert "cnn: measured on today; P, 2 cores" in text
    assert "lstm: measured on yesterday; Q, 2 cores" in text
    assert results.keys() == {"cnn", "lstm"}


def test_a_page_holds_several_tables_between_marks_of_their_own(load, tmp_path: Path):
    rows, report, measure = load("rows"), load("report"), load("measure")
    result = measure.Result(
        seconds={"talweg": [1e-3], "keras-jax": [3e-3]}, date="today", machine=MACHINE
    )
    seconds = {"talweg-cold": [1.0], "talweg-warm": [1.0], "keras-jax": [5.0]}
    results = {"lstm": result, "resnet-build": replace(result, seconds=seconds), "cnn": result}
    page = tmp_path / "docs" / "benchmarks.md"
    page.parent.mkdir()
    begin, end = (mark.replace(" -->", " models -->") for mark in report.MARKS)
    page.write_text(f"{begin}\nbygone\n{end}\n{report.BEGIN}\nthe other\n{report.END}\n")
    assert report.write_pages(results, tmp_path) == [tmp_path / "README.md", page]
    models, _, others = page.read_text().partition(report.BEGIN)
    assert rows.ROWS["lstm"].title in models
    assert rows.ROWS["resnet-build"].title in models
    assert "bygone" not in models
    assert others.startswith("\nthe other\n")
    assert rows.ROWS["cnn"].title in (tmp_path / "README.md").read_text()


def test_data_is_the_same_at_every_call(load):
    for workload in load("workloads").WORKLOADS.values():
        first, second = workload.data(20), workload.data(20)
        assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
