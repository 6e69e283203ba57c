"""What is measured, against whom, and what must be reached."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.contestants import Contestant, Script, Training
from benchmarks.forward import NAMES as FORWARD
from benchmarks.products import BARE
from benchmarks.updates import RULES
from benchmarks.updates import WORKLOADS as UPDATES

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
        rounds: how many measurements a repeat has, where they are short.
        bytes: what a unit of work must read and write; 0 where that is not the point.
        check: what the number is that must be alike.
        page: where its lines are written, from the root of the project; behind a "#" the name
            of the marks between which they stand.
    """

    title: str
    unit: str
    per: str
    subjects: tuple[str, ...]
    contestants: Mapping[str, Contestant]
    demands: tuple[Demand, ...]
    baseline: str = ""
    repeats: int = 1000
    rounds: int = 1
    bytes: float = 0.0
    check: str = "the loss"
    page: str = "README.md"


def _training(workload: str, *peers: str) -> dict[str, Contestant]:
    return {peer: Training(peer, workload) for peer in peers}


def _scripts(
    name: str, full: tuple[str, ...], quick: tuple[str, ...], reports: bool
) -> dict[str, Contestant]:
    def script(label: str, package: str, cache: str) -> Script:
        modules = ("talweg",) if package == "talweg" else ("keras", "jax")
        return Script(label, (name, package), modules, quick, full, reports, cache)

    return {
        "talweg-cold": script("talweg, cold compile cache", "talweg", "cold"),
        "talweg-warm": script("talweg, warm compile cache", "talweg", "warm"),
        "keras-jax": script("Keras on JAX", "keras", ""),
    }


# The page of what optimizers cost by themselves.
OPTIMIZERS = "docs/benchmarks.md"

# Medians of programs that are alike differ by so much.
ALIKE = 0.97


def _update(rule: str, arrays: int, subject: str = "talweg") -> Row:
    """An update: not slower than torch's fused kernels and optax; what XLA alone does is stated."""
    workload = UPDATES[f"{rule}-{arrays}"]
    where = "one array" if arrays == 1 else f"{arrays} arrays"
    how = ", set_fused_updates(False)" if subject == "xla" else ""
    torch = RULES[rule].torch is not None
    peers = ("torch", "optax") if torch else ("optax",)
    more = (*(("foreach",) if torch else ()), "numpy", "jax") if subject != "xla" else ()
    return Row(
        f"Update of 50 million weights in {where}, {rule}{how}",
        "ms",
        "update",
        (subject,),
        {key: Training(f"update-{key}", f"{rule}-{arrays}") for key in (subject, *peers, *more)},
        tuple(Demand((peer,), None if subject == "xla" else ALIKE) for peer in peers),
        rounds=3,
        bytes=workload.bytes,
        check="a weight",
        page=OPTIMIZERS,
    )


def _block(arrays: int) -> Row:
    """Steps of fit beside bare updates, talweg's and torch's."""
    workload = f"adam-{arrays}-block"
    peers = {"talweg": "block-talweg", "bare": "block-bare", "torch": "block-torch"}
    return Row(
        f"Ten steps of fit's program for large models: Adam, 50 million weights in {arrays} "
        "array(s)", "ms", "step", ("talweg",),
        {key: Training(peer, workload) for key, peer in peers.items()},
        (Demand(("bare",), 1 / 1.2), Demand(("torch",), 1 / 1.2)),
        rounds=3, bytes=UPDATES[workload].bytes, check="a weight", page=OPTIMIZERS,
    )  # fmt: skip


def _beside(
    title: str, subject: str, peer: str, workload: str, at_least: float, **more: Any
) -> Row:
    return Row(
        title, "ms", "step", ("talweg",),
        {"talweg": Training(subject, workload), "peer": Training(peer, workload)},
        (Demand(("peer",), at_least),), rounds=3, page=OPTIMIZERS, **more,
    )  # fmt: skip


_UPDATES = {f"{rule}-{n}": _update(rule, n) for rule in RULES for n in (1, 500)} | {
    f"{rule}-{n}-xla": _update(rule, n, "xla") for rule in RULES for n in (1, 500)
}
_BLOCKS = {f"adam-{n}-block": _block(n) for n in (1, 500)}
_PRODUCTS = {
    name.lower(): _beside(
        f"{name}, 4 matrices of 512×512 and 2 of 256×1024",
        "products-talweg", "products-bare", name.lower(), 1 / 1.2,
    )
    for name in BARE
}  # fmt: skip
_PARTS = {
    "parts": _beside(
        "ByPath with ten multipliers: update of ten dense layers 512→512",
        "parts-ten", "parts-one", "parts", 0.97,
    ),
    "parts-fit": _beside(
        "ByPath with ten multipliers: fit of ten dense layers, 256 wide, batch 128",
        "fit-ten", "fit-one", "deep", 0.97,
    ),
}  # fmt: skip

# The page of what models cost.
MODELS = f"{OPTIMIZERS}#models"


def _model(title: str, workload: str, page: str = MODELS) -> Row:
    """A training step: not slower than Keras on JAX; the gap to the best peer is stated."""
    return Row(
        title, "ms", "step", ("talweg",), _training(workload, *_BIG),
        (Demand(("keras-jax",), 1), Demand(_BIG[1:], None)), page=page,
    )  # fmt: skip


def _forward(title: str, workload: str) -> Row:
    """The same for `predict`."""
    peers = {key: f"forward-{key}" for key in FORWARD}
    return Row(
        title, "ms", "batch", ("talweg",),
        {key: Training(peer, f"forward-{workload}") for key, peer in peers.items()},
        (Demand(("keras-jax",), 1), Demand(FORWARD[1:], None)),
        check="the scatter of the outputs", page=MODELS,
    )  # fmt: skip


def _making(title: str, what: str) -> Row:
    return Row(
        title, "s", "time", ("talweg-cold", "talweg-warm"),
        _scripts("resnet.py", (what,), (what, "--quick"), reports=True),
        (Demand(("keras-jax",), 1),), repeats=3, page=MODELS,
    )  # fmt: skip


_BIG = ("talweg", "keras-jax", "keras-tensorflow", "keras-torch", "torch", "torch-fused")
_DIGITS = "conv 32, pool, conv 64, pool, dropout, dense 10; batch 128"
_MODELS = {
    "lstm": "LSTM(64) over 64 steps of 16 features, dense 1; batch 64",
    "transformer": "Causal transformer: 2 layers, width 128, length 64, vocabulary 1,000; batch 32",
    "embedding": "Embedding(20,000, 64) of 200 words, mean, dense 1; batch 128",
    "table": "Embedding(500,000, 32) of 20 items, mean, dense 1; batch 128",
}
_FORWARD = {"dense": "Dense 784→512→512→10; batch 128", "cnn": f"CNN 28×28: {_DIGITS}", **_MODELS}
_TRAINED = {name: _model(f"{title}, Adam", name) for name, title in _MODELS.items()}
_PREDICTED = {
    f"forward-{name}": _forward(f"predict: {title}", name) for name, title in _FORWARD.items()
}
_RESNET = {
    "resnet-build": _making("ResNet-50: until the functional model stands", "build"),
    "resnet-train": _making(
        "ResNet-50: until its first training step on 8 images of 64×64 is done", "train"
    ),
    "resnet-predict": _making(
        "ResNet-50: until its first prediction for 8 images of 64×64 is done", "predict"
    ),
}

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
    "cnn": _model(f"CNN 28×28: {_DIGITS}, Adam", "cnn", page="README.md"),
    **_TRAINED,
    **_PREDICTED,
    **_RESNET,
    **_UPDATES,
    **_BLOCKS,
    **_PRODUCTS,
    **_PARTS,
}
