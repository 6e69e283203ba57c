"""Every exported layer in onnxruntime, or refused by name: what docs/export.md says."""

import re
from pathlib import Path

import numpy as np
import pytest

import talweg
from export.cases import BASES, CASES, REFUSED, classes, randomize, rows, used

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("jax2onnx")

PAGE = Path(__file__).parents[2] / "docs" / "export.md"
NAMES = sorted(CASES)
# Together in one model: tracing, compiling and starting a session cost more than most layers.
GROUPS = [NAMES[i : i + 14] for i in range(0, len(NAMES), 14)]


def in_onnxruntime(path, arrays):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options)
    given = {entry.name: arrays[entry.name] for entry in session.get_inputs()}
    return dict(
        zip([out.name for out in session.get_outputs()], session.run(None, given), strict=True)
    )


@pytest.mark.sampled(count=2)
@pytest.mark.parametrize("names", GROUPS, ids=lambda names: f"{names[0]}…{names[-1]}")
def test_layers_compute_in_onnxruntime_what_they_compute_here(names, tmp_path):
    uses = {name: used(name) for name in names}
    inputs = {x.layer.name: x for tensors, _ in uses.values() for x in tensors}
    model = talweg.Model(inputs, {name: output for name, (_, output) in uses.items()})
    randomize(model)
    arrays = rows(inputs.values(), 5)
    expected = model.predict(arrays, verbose=0)
    model.export(tmp_path / "m.onnx", verbose=False, verify=False)
    for count in (1, 5):  # each row by itself gives what it gives among others
        got = in_onnxruntime(tmp_path / "m.onnx", {k: v[:count] for k, v in arrays.items()})
        assert set(got) == set(names)
        for name in names:
            np.testing.assert_allclose(
                got[name], expected[name][:count], rtol=1e-5, atol=1e-5, err_msg=name
            )


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_layers_of_the_host_are_refused_with_what_to_do(name, tmp_path):
    for format in ("onnx", "stablehlo"):
        with pytest.raises(TypeError, match="Apply the layer to the data"):
            talweg.Model(*used(name)).export(tmp_path / "m", format=format)


def test_every_exported_layer_is_carried_or_refused():
    assert classes() - BASES == set(CASES) | set(REFUSED)
    assert not set(CASES) & set(REFUSED)


def test_page_lists_the_layers_that_cannot_be_carried():
    section = PAGE.read_text().split("## What cannot be carried")[1].split("\n## ")[0]
    listed = set(re.findall(r"^\| `(\w+)` \|", section, re.M))
    assert listed == set(REFUSED)
