"""Records what PyTorch does, for tests on machines that lack it: `make goldens`.

Writes torch.npz (one array of parameters by kept step for each case) and torch.json (the
version, the cases). Needs PyTorch and NumPy only.
"""

import json
import sys
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent


def run_torch(name: str) -> np.ndarray:
    """The trajectory of a case by PyTorch, a row for each kept step."""
    import torch
    from torch_cases import CASES, KEPT, flat, problem

    _, _, cls, options, clip = CASES[name]
    start, grads = problem()
    params = [torch.nn.Parameter(torch.tensor(p)) for p in start]
    optimizer = getattr(torch.optim, cls)(params, **options)
    rows = []
    for step, gradient in enumerate(grads, 1):
        for p, g in zip(params, gradient, strict=True):
            p.grad = torch.tensor(g)
        if clip and clip[0] == "value":
            torch.nn.utils.clip_grad_value_(params, clip[1])
        if clip and clip[0] == "norm":
            torch.nn.utils.clip_grad_norm_(params, clip[1])
        optimizer.step()
        if step in KEPT:
            rows.append(flat([p.detach().numpy() for p in params]))
    return np.stack(rows)


def main() -> None:
    """Write both files."""
    import torch
    from torch_cases import CASES, KEPT

    np.savez_compressed(FOLDER / "torch.npz", **{name: run_torch(name) for name in CASES})
    record = {
        "made_by": "tests/goldens/make_goldens.py",
        "torch": torch.__version__,
        "numpy": np.__version__,
        "kept_steps": KEPT,
        "cases": {
            name: {"talweg": [cls, ours], "torch": [theirs, options], "clip": clip}
            for name, (cls, ours, theirs, options, clip) in CASES.items()
        },
    }
    (FOLDER / "torch.json").write_text(json.dumps(record, indent=1) + "\n")
    print(f"{len(CASES)} trajectories of torch {torch.__version__}")


if __name__ == "__main__":
    sys.path.insert(0, str(FOLDER))
    main()
