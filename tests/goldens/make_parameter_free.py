"""Records what prodigyopt, dadaptation and schedulefree do.

Writes parameter_free.npz (one array of parameters by kept step for each case; for the
schedule-free ones the weights to evaluate with under `<case>_evaluated`) and
parameter_free.json (the versions, the cases). Needs the three packages, PyTorch and NumPy.
"""

import importlib
import importlib.metadata
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent
PACKAGES = ("prodigyopt", "dadaptation", "schedulefree", "torch", "numpy")


def run_reference(name: str) -> dict[str, np.ndarray]:
    """The trajectories of a case, a row for each kept step."""
    import torch

    from goldens.parameter_free_cases import CASES, KEPT, STEPS, flat, gradients, start

    _, _, package, cls, options, factors = CASES[name]
    params = [torch.nn.Parameter(torch.tensor(p)) for p in start()]
    groups: Any = params
    if factors:
        groups = [{"params": [p], "layer_scale": f} for p, f in zip(params, factors, strict=True)]
    optimizer = getattr(importlib.import_module(package), cls)(groups, **options)
    free = package == "schedulefree"
    trained, evaluated = [], []

    def now() -> np.ndarray:
        return flat([p.detach().numpy() for p in params])

    for step in range(1, STEPS + 1):
        if free:
            optimizer.train()
        for p, g in zip(params, gradients([p.detach().numpy() for p in params], step), strict=True):
            p.grad = torch.tensor(g)
        optimizer.step()
        if step in KEPT:
            trained.append(now())
            if free:
                optimizer.eval()
                evaluated.append(now())
    found = {name: np.stack(trained)}
    return {**found, f"{name}_evaluated": np.stack(evaluated)} if free else found


def described() -> dict[str, Any]:
    """The cases as they stand in the record."""
    from goldens.parameter_free_cases import CASES

    return {
        name: {"talweg": [cls, ours], package: [theirs, options], "factors": factors}
        for name, (cls, ours, package, theirs, options, factors) in CASES.items()
    }


def main() -> None:
    """Write both files."""
    from goldens.parameter_free_cases import CASES, KEPT

    arrays = {k: v for name in CASES for k, v in run_reference(name).items()}
    np.savez_compressed(FOLDER / "parameter_free.npz", **arrays)
    record = {
        "made_by": "tests/goldens/make_parameter_free.py",
        **{name: importlib.metadata.version(name) for name in PACKAGES},
        "kept_steps": KEPT,
        "cases": described(),
    }
    (FOLDER / "parameter_free.json").write_text(json.dumps(record, indent=1) + "\n")
    print(f"{len(CASES)} trajectories of {', '.join(PACKAGES[:3])}")


if __name__ == "__main__":
    sys.path.insert(0, str(FOLDER.parent))
    main()
