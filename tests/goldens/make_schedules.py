"""Records the rates of PyTorch's schedulers, for tests on machines that lack it.

Writes schedules.npz (one array of rates by step for each case, one of momenta for those
that cycle it) and schedules.json (the version, the cases). Needs PyTorch and NumPy only:

    python tests/goldens/make_schedules.py
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent


def build(optimizer: Any, cls: str, options: dict[str, Any]) -> Any:
    """A scheduler of torch, with the schedulers among its options."""
    from torch.optim import lr_scheduler

    parts = [build(optimizer, *part) for part in options.get("schedulers", ())]
    if cls == "ChainedScheduler":
        return lr_scheduler.ChainedScheduler(parts, optimizer=optimizer)
    if parts:
        options = {**options, "schedulers": parts}
    return getattr(lr_scheduler, cls)(optimizer, **options)


def run_torch(name: str) -> dict[str, np.ndarray]:
    """The rates of a case at each step, and its momenta where they change."""
    import torch
    from schedule_cases import CASES, RATE, STEPS

    cls, options = CASES[name]
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=RATE, momentum=0.9)
    scheduler = build(optimizer, cls, options)
    rates, momenta = [], []
    for _ in range(STEPS):
        group = optimizer.param_groups[0]
        rates.append(group["lr"])
        momenta.append(group["momentum"])
        optimizer.step()
        if len(rates) < STEPS:
            scheduler.step()
    recorded = {name: np.array(rates, np.float32)}
    if len(set(momenta)) > 1:
        recorded[f"{name}/momentum"] = np.array(momenta, np.float32)
    return recorded


def main() -> None:
    """Write both files."""
    import torch
    from schedule_cases import CASES, RATE, STEPS

    recorded: dict[str, np.ndarray] = {}
    for name in CASES:
        recorded |= run_torch(name)
    np.savez_compressed(FOLDER / "schedules.npz", **recorded)
    record = {
        "made_by": "tests/goldens/make_schedules.py",
        "torch": torch.__version__,
        "numpy": np.__version__,
        "steps": STEPS,
        "rate": RATE,
        "cases": CASES,
    }
    (FOLDER / "schedules.json").write_text(json.dumps(record, indent=1) + "\n")
    print(f"{len(recorded)} schedules of torch {torch.__version__}")


if __name__ == "__main__":
    sys.path.insert(0, str(FOLDER))
    main()
