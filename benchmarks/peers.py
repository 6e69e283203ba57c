"""Who trains: talweg and its peers, each as a function of a workload.

A trainer is `train(epochs) -> mean loss of the last epoch`, or another number that shows
that peers do the same work; calls go on where the last one ended. Peers are imported
inside, so that a process holds one of them only.
"""

import ctypes
import importlib
import importlib.util
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.torch_models import parts
from benchmarks.workloads import Workload

Trainer = Callable[[int], float | None]


@dataclass(frozen=True)
class Peer:
    """Somebody who can train.

    Attributes:
        label: how tables name it.
        make: `(workload) -> trainer`.
        modules: what must be installed.
        programs: what must be on the path.
        environment: variables of its process.
    """

    label: str
    make: Callable[[Workload], Trainer]
    modules: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    def missing(self) -> list[str]:
        """What it needs and this machine lacks, by name."""
        modules = [name for name in self.modules if importlib.util.find_spec(name) is None]
        return modules + [name for name in self.programs if shutil.which(name) is None]


def keras_trainer(
    package: str, workload: Workload, optimizer: Callable[[Any], Any] | None = None,
    **compile_options: Any,
) -> Trainer:  # fmt: skip
    """`fit` of talweg or of Keras on the backend that the environment names.

    Args:
        package: "talweg" or "keras".
        workload: what is trained.
        optimizer: `(package.optimizers) -> ` the optimizer; Adam where None.
        compile_options: for `compile`.
    """
    keras = importlib.import_module(package)
    keras.utils.set_random_seed(0)
    x, y = workload.data(workload.rows)
    model = workload.model(keras)
    model.compile(
        optimizer=(optimizer or _adam)(keras.optimizers),
        loss=workload.loss if isinstance(workload.loss, str) else workload.loss(keras),
        metrics=list(workload.metrics),
        **compile_options,
    )

    def train(epochs: int) -> float:
        history = model.fit(x, y, batch_size=workload.batch_size, epochs=epochs, verbose=0)
        return float(history.history["loss"][-1])

    return train


def _adam(optimizers: Any) -> Any:
    return optimizers.Adam()


def torch_trainer(workload: Workload, loader: bool = False, **adam_options: Any) -> Trainer:
    """A loop in plain PyTorch: index tensors, or a DataLoader; logs without waiting."""
    import torch

    torch.manual_seed(0)
    model, x, y, loss_function = parts(torch, workload)
    optimizer = torch.optim.Adam(model.parameters(), eps=1e-7, **adam_options)
    counts_hits = "accuracy" in workload.metrics
    batches: Any = None
    if loader:
        dataset = torch.utils.data.TensorDataset(x, y)
        batches = torch.utils.data.DataLoader(dataset, workload.batch_size, shuffle=True)

    def shuffled() -> Any:
        if batches is not None:
            return batches
        order = torch.randperm(len(x)).split(workload.batch_size)
        return ((x[rows], y[rows]) for rows in order)

    def train(epochs: int) -> float:
        total = torch.zeros(())
        for _ in range(epochs):
            total, hits = torch.zeros(()), torch.zeros((), dtype=torch.int64)
            for x_batch, y_batch in shuffled():
                optimizer.zero_grad()
                output = model(x_batch)
                loss = loss_function(output, y_batch)
                loss.backward()
                optimizer.step()
                with torch.no_grad():
                    total += loss.detach() * len(x_batch)
                    if counts_hits:
                        hits += ((output > 0) == (y_batch > 0.5)).sum()
        return float(total) / len(x)

    return train


def scikit_learn_trainer(workload: Workload) -> Trainer:
    """scikit-learn's MLPClassifier, as many epochs as asked, without early stopping."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    warnings.simplefilter("ignore", ConvergenceWarning)
    x, y = workload.data(workload.rows)
    y = y.ravel()
    classifier = MLPClassifier(
        (64,), batch_size=workload.batch_size, alpha=0.0, tol=0.0, n_iter_no_change=10**9,
        warm_start=True, random_state=0,
    )  # fmt: skip

    def train(epochs: int) -> float:
        classifier.set_params(max_iter=epochs).fit(x, y)
        return float(classifier.loss_)

    return train


def c_trainer(workload: Workload) -> Trainer:
    """mlp.c, compiled for this machine."""
    source = Path(__file__).with_name("mlp.c")
    with tempfile.TemporaryDirectory() as folder:
        library_path = Path(folder) / "mlp.so"
        subprocess.run(
            ["gcc", "-O3", "-march=native", "-ffast-math", "-std=c11", "-shared", "-fPIC",
             str(source), "-o", str(library_path), "-lm"],
            check=True,
        )  # fmt: skip
        library = ctypes.CDLL(str(library_path))
    x, y = workload.data(workload.rows)
    floats = ctypes.POINTER(ctypes.c_float)
    library.start(ctypes.c_uint64(1))

    def train(epochs: int) -> float:
        loss, accuracy = ctypes.c_double(), ctypes.c_double()
        library.train(
            x.ctypes.data_as(floats), y.ctypes.data_as(floats), len(x), epochs,
            ctypes.byref(loss), ctypes.byref(accuracy),
        )  # fmt: skip
        return loss.value

    return train


def _keras_peer(label: str, backend: str, module: str, **options: Any) -> Peer:
    make = partial(keras_trainer, "keras", **options)
    environment = {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "2"}
    return Peer(label, make, ("keras", module), environment=environment)


PEERS: dict[str, Peer] = {
    "talweg": Peer("talweg", partial(keras_trainer, "talweg"), ("talweg",)),
    "keras-jax": _keras_peer("Keras on JAX", "jax", "jax"),
    "keras-jax-100": _keras_peer(
        "Keras on JAX, steps_per_execution=100", "jax", "jax", steps_per_execution=100
    ),
    "keras-tensorflow": _keras_peer("Keras on TensorFlow", "tensorflow", "tensorflow"),
    "keras-torch": _keras_peer("Keras on PyTorch", "torch", "torch"),
    "torch": Peer("PyTorch loop", torch_trainer, ("torch",)),
    "torch-fused": Peer(
        "PyTorch loop, Adam(fused=True)", partial(torch_trainer, fused=True), ("torch",)
    ),
    "torch-loader": Peer(
        "PyTorch loop, DataLoader", partial(torch_trainer, loader=True), ("torch",)
    ),
    "scikit-learn": Peer("scikit-learn MLP", scikit_learn_trainer, ("sklearn",)),
    "c": Peer("C loop by hand, one core", c_trainer, programs=("gcc",)),
}
