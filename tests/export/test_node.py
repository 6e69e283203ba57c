"""Exported models in Node, through onnxruntime-web: `make node-test` installs it."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from export.test_stablehlo import some_rows, two_headed

pytest.importorskip("jax2onnx")
FOLDER = Path(__file__).parent / "node"
NODE = shutil.which("node")
pytestmark = [
    pytest.mark.skipif(NODE is None, reason="node is not installed"),
    pytest.mark.skipif(
        not (FOLDER / "node_modules" / "onnxruntime-web").exists(),
        reason="onnxruntime-web is not installed in tests/export/node: make node-test",
    ),
]


def written(path, data):
    """Arrays as the script reads them."""
    path.write_text(
        json.dumps({
            name: {"type": str(array.dtype), "dims": array.shape, "data": array.ravel().tolist()}
            for name, array in data.items()
        })
    )  # fmt: skip
    return path


def test_model_of_two_inputs_and_outputs_predicts_the_same_in_node(tmp_path):
    model = two_headed()
    data = some_rows()
    model.export(tmp_path / "m.onnx", verbose=False)
    counts = (1, 4)
    files = [
        written(tmp_path / f"{count}.json", {name: a[:count] for name, a in data.items()})
        for count in counts
    ]
    done = subprocess.run(
        [NODE, "run.mjs", tmp_path / "m.onnx", *files],
        cwd=FOLDER, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    expected = model.predict(data, verbose=0)
    for count, outputs in zip(counts, json.loads(done.stdout), strict=True):
        assert set(outputs) == {"label", "score"}
        for name, output in outputs.items():
            values = np.reshape(output["data"], output["dims"])
            np.testing.assert_allclose(values, expected[name][:count], rtol=1e-5, atol=1e-5)
