"""The forward pass alone: `predict` over a large array, seconds per batch."""

import importlib
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from benchmarks import peers
from benchmarks.peers import Peer, Trainer
from benchmarks.torch_models import parts
from benchmarks.workloads import CNN, DENSE, EMBEDDING, LSTM, TABLE, TRANSFORMER, Workload

# Four times the rows that are trained on: what a call costs once must not count.
WORKLOADS = {
    f"forward-{workload.name}": replace(workload, rows=4 * workload.rows)
    for workload in (DENSE, CNN, LSTM, TRANSFORMER, EMBEDDING, TABLE)
}


def keras_forward(package: str, workload: Workload) -> Trainer:
    """`predict` of talweg or of Keras; returns how far the outputs scatter.

    Args:
        package: "talweg" or "keras".
        workload: what is predicted.
    """
    keras: Any = importlib.import_module(package)
    x, _ = workload.data(workload.rows)
    model = workload.model(keras)
    random = np.random.default_rng(1)
    model.set_weights(
        [0.05 * random.standard_normal(w.shape, "float32") for w in model.get_weights()]
    )

    def predict(epochs: int) -> float:
        outputs = np.zeros(())
        for _ in range(epochs):
            outputs = model.predict(x, batch_size=workload.batch_size, verbose=0)
        return float(np.std(outputs))

    return predict


def torch_forward(workload: Workload) -> Trainer:
    """A loop over batches in PyTorch without gradients; the outputs joined in NumPy."""
    import torch

    model, x, _, _ = parts(torch, workload)
    model.eval()

    def predict(epochs: int) -> None:
        for _ in range(epochs):
            with torch.inference_mode():
                outputs = [model(batch) for batch in x.split(workload.batch_size)]
                torch.cat(outputs).numpy()

    return predict


def _peer(key: str) -> Peer:
    if key == "torch":
        return replace(peers.PEERS[key], make=torch_forward)
    package = "talweg" if key == "talweg" else "keras"
    return replace(peers.PEERS[key], make=partial(keras_forward, package))


NAMES = ("talweg", "keras-jax", "keras-tensorflow", "keras-torch", "torch")
PEERS = {f"forward-{key}": _peer(key) for key in NAMES}
