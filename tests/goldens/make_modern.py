"""Records what PyTorch and pytorch_optimizer do with the modern optimizers.

Writes modern.npz (one array of parameters by kept step for each case; for ASGD the averages
under `<case>_average`) and modern.json (the versions, the cases). Needs PyTorch,
pytorch_optimizer and NumPy only.
"""

import importlib
import importlib.metadata
import json
import sys
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent


def run_reference(name: str) -> dict[str, np.ndarray]:
    """The trajectories of a case, a row for each kept step."""
    import torch

    from goldens.modern_cases import CASES, KEPT, flat, problem

    _, _, package, cls, options = CASES[name]
    module = torch.optim if package == "torch" else importlib.import_module(package)
    start, grads = problem()
    params = [torch.nn.Parameter(torch.tensor(p)) for p in start]
    optimizer = getattr(module, cls)(params, **options)
    rows, averages = [], []
    for step, gradient in enumerate(grads, 1):
        for p, g in zip(params, gradient, strict=True):
            p.grad = torch.tensor(g)
        optimizer.step()
        if step in KEPT:
            rows.append(flat([p.detach().numpy() for p in params]))
            if cls == "ASGD":
                averages.append(flat([optimizer.state[p]["ax"].numpy() for p in params]))
    found = {name: np.stack(rows)}
    return {**found, f"{name}_average": np.stack(averages)} if averages else found


def described() -> dict[str, dict[str, list]]:
    """The cases as they are recorded."""
    from goldens.modern_cases import CASES

    return {
        name: {"talweg": [cls, ours], package: [theirs, options]}
        for name, (cls, ours, package, theirs, options) in CASES.items()
    }


def main() -> None:
    """Write both files."""
    from goldens.modern_cases import CASES, KEPT

    arrays: dict[str, np.ndarray] = {}
    for name in CASES:
        arrays |= run_reference(name)
    np.savez_compressed(FOLDER / "modern.npz", **arrays)
    packages = ("torch", "pytorch_optimizer", "numpy")
    record = {
        "made_by": "tests/goldens/make_modern.py",
        **{name: importlib.metadata.version(name) for name in packages},
        "kept_steps": KEPT,
        "cases": described(),
    }
    (FOLDER / "modern.json").write_text(json.dumps(record, indent=1) + "\n")
    print(f"{len(CASES)} trajectories of torch {record['torch']} and pytorch_optimizer")


if __name__ == "__main__":
    sys.path.insert(0, str(FOLDER.parent))
    main()
