"""Records what pytorch_optimizer's matrix methods do: `python tests/goldens/make_matrix.py`.

Writes matrix.npz (one array of parameters by kept step for each case) and matrix.json (the
versions, the cases). Needs PyTorch, pytorch_optimizer and NumPy.
"""

import functools
import json
import sys
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent


def run_torch(name: str) -> np.ndarray:
    """The trajectory of a case by pytorch_optimizer, a row for each kept step."""
    import pytorch_optimizer
    import torch
    from matrix_cases import CASES, KEPT, flat, problem
    from pytorch_optimizer.optimizer.muon import base
    from pytorch_optimizer.optimizer.utils import matrix

    # Muon iterates in bfloat16; the trajectory is to be that of float32.
    base.zero_power_via_newton_schulz_5 = functools.partial(
        matrix.zero_power_via_newton_schulz_5, dtype=torch.float32
    )
    _, _, cls, options, shapes = CASES[name]
    start, grads = problem(shapes)
    params = [torch.nn.Parameter(torch.tensor(p)) for p in start]
    own = [{"params": params, "use_muon": True}] if cls == "Muon" else params
    given = dict(options)
    # Sums, that is beta_2 = 1, are there but refused by its constructor.
    sums = cls == "ScalableShampoo" and given.pop("betas")
    optimizer = getattr(pytorch_optimizer, cls)(own, **given)
    if sums:
        optimizer.param_groups[0]["betas"] = sums
    rows = []
    for step, gradient in enumerate(grads, 1):
        for p, g in zip(params, gradient, strict=True):
            p.grad = torch.tensor(g)
        optimizer.step()
        if step in KEPT:
            rows.append(flat([p.detach().numpy() for p in params]))
    return np.stack(rows)


def described() -> dict:
    """The cases as JSON."""
    from matrix_cases import CASES

    return {
        name: {"talweg": [cls, ours], "pytorch_optimizer": [theirs, options], "shapes": shapes}
        for name, (cls, ours, theirs, options, shapes) in CASES.items()
    }


def main() -> None:
    """Write both files."""
    import importlib.metadata

    import torch
    from matrix_cases import CASES, KEPT

    np.savez_compressed(FOLDER / "matrix.npz", **{name: run_torch(name) for name in CASES})
    record = {
        "made_by": "tests/goldens/make_matrix.py",
        "pytorch_optimizer": importlib.metadata.version("pytorch_optimizer"),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "kept_steps": KEPT,
        "cases": described(),
    }
    (FOLDER / "matrix.json").write_text(json.dumps(record, indent=1) + "\n")
    print(f"{len(CASES)} trajectories of pytorch_optimizer {record['pytorch_optimizer']}")


if __name__ == "__main__":
    sys.path.insert(0, str(FOLDER))
    main()
