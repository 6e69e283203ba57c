"""100 steps against PyTorch: recorded by default, live under `make parity`."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

from goldens import make_goldens
from goldens.torch_cases import CASES, KEPT, flat, problem
from talweg import optimizers

FOLDER = Path(make_goldens.__file__).parent
RECORD = json.loads((FOLDER / "torch.json").read_text())


def run_talweg(name):
    cls, options, *_ = CASES[name]
    optimizer = getattr(optimizers, cls)(**options)
    params, grads = problem()
    state, update = optimizer.init(params), jax.jit(optimizer.update)
    rows = []
    for step, gradient in enumerate(grads, 1):
        params, state = update(gradient, state, params)
        if step in KEPT:
            rows.append(flat(params))
    return np.stack(rows)


@pytest.mark.parametrize("name", CASES)
def test_trajectory_equals_the_recorded_one_of_torch(name):
    with np.load(FOLDER / "torch.npz") as file:
        recorded = file[name]
    np.testing.assert_allclose(run_talweg(name), recorded, rtol=1e-5, atol=2e-6)


def test_goldens_are_those_of_the_cases():
    assert RECORD["torch"]
    assert tuple(RECORD["kept_steps"]) == KEPT
    described = {
        name: {"talweg": [cls, ours], "torch": [theirs, options], "clip": clip}
        for name, (cls, ours, theirs, options, clip) in CASES.items()
    }
    assert RECORD["cases"] == json.loads(json.dumps(described)), "run `make goldens`"


@pytest.mark.parity
@pytest.mark.parametrize("name", CASES)
def test_trajectory_equals_that_of_torch_now(name, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.syspath_prepend(str(FOLDER))
    np.testing.assert_allclose(run_talweg(name), make_goldens.run_torch(name), rtol=1e-5, atol=2e-6)
