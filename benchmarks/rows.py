"""What is measured, against whom, and what must be reached."""

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.contestants import Contestant, Script, Training

# Units in which times are shown, per second.
UNITS = {"s": 1.0, "ms": 1e3, "µs": 1e6}


@dataclass(frozen=True)
class Demand:
    """`peer's time / talweg's time >= at_least`, the median over pairs of repeats.

    Attributes:
        against: the keys of the peers; of several, the one with the lowest median counts.
        at_least: the ratio; None where the gap is only to be stated.
    """

    against: tuple[str, ...]
    at_least: float | None


@dataclass(frozen=True)
class Row:
    """One kind of work.

    Attributes:
        title: the work in words.
        unit: the unit shown, and what a unit of work is.
        subjects: keys of the contestants that are talweg; every demand holds for each.
        contestants: who takes part, by key; talweg first.
        demands: what must be reached.
        baseline: the key of a contestant whose time is taken off all others.
        repeats: at most so many, where one is long.
    """

    title: str
    unit: str
    per: str
    subjects: tuple[str, ...]
    contestants: Mapping[str, Contestant]
    demands: tuple[Demand, ...]
    baseline: str = ""
    repeats: int = 1000


def _training(workload: str, *peers: str) -> dict[str, Contestant]:
    return {peer: Training(peer, workload) for peer in peers}


def _scripts(name: str, full: tuple[str, ...], quick: tuple[str, ...], reports: bool):
    def script(label: str, package: str, cache: str) -> Script:
        modules = ("talweg",) if package == "talweg" else ("keras", "jax")
        return Script(label, (name, package), modules, quick, full, reports, cache)

    return {
        "talweg-cold": script("talweg, cold compile cache", "talweg", "cold"),
        "talweg-warm": script("talweg, warm compile cache", "talweg", "warm"),
        "keras-jax": script("Keras on JAX", "keras", ""),
    }


_BIG = ("talweg", "keras-jax", "keras-tensorflow", "keras-torch", "torch", "torch-fused")
_BEST = Demand(_BIG[1:], None)

ROWS: dict[str, Row] = {
    "step": Row(
        "Dense 20→64→1, batch 10, Adam, accuracy: fit on 10,000 rows",
        "µs",
        "step",
        ("talweg",),
        _training(
            "small",
            "talweg",
            "keras-jax",
            "keras-jax-100",
            "keras-tensorflow",
            "keras-torch",
            "torch",
            "torch-loader",
            "scikit-learn",
            "c",
        ),
        (
            Demand(("keras-jax",), 20),
            Demand(("keras-tensorflow",), 60),
            Demand(("keras-torch",), 150),
            Demand(("torch",), 20),
            Demand(("scikit-learn",), 10),
            Demand(("c",), 1 / 5),
        ),
    ),
    "process": Row(
        "The whole process: import, compile, 50 epochs × 200 steps, evaluate",
        "s",
        "run",
        ("talweg-cold", "talweg-warm"),
        _scripts("whole_process.py", ("50",), ("2",), reports=False),
        (Demand(("keras-jax",), 3),),
    ),
    "import": Row(
        "Import, without the start of Python",
        "s",
        "import",
        ("talweg",),
        {
            "talweg": Script("import talweg", ("-c", "import talweg"), ("talweg",)),
            "keras-jax": Script("import keras on JAX", ("-c", "import keras"), ("keras", "jax")),
            "jax": Script("import jax", ("-c", "import jax"), ("jax",)),
            "python": Script("Python alone", ("-c", "pass")),
        },
        (Demand(("keras-jax",), 2),),
        baseline="python",
    ),
    "compare": Row(
        "Compare 5 optimizers × 9 rates × 5 folds: 2,000 rows, 20 features, 10 epochs; of "
        "Keras's 225 fits, 6 are run",
        "µs",
        "configuration and step",
        ("talweg-cold", "talweg-warm"),
        _scripts("compare.py", (), ("--quick",), reports=True),
        (Demand(("keras-jax",), 50),),
        repeats=3,
    ),
    "dense": Row(
        "Dense 784→512→512→10, batch 128, Adam",
        "ms",
        "step",
        ("talweg",),
        _training("dense", *_BIG),
        (Demand(_BIG[1:], 1),),
    ),
    "cnn": Row(
        "CNN 28×28: conv 32, pool, conv 64, pool, dropout, dense 10; batch 128, Adam",
        "ms",
        "step",
        ("talweg",),
        _training("cnn", *_BIG),
        (Demand(("keras-jax",), 1), _BEST),
    ),
}
