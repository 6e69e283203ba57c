"""Small steps as one kernel: which do, that XLA follows, and that nothing else changes."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import jaxlib.version
import numpy as np
import pytest

import talweg
from talweg import layers
from talweg.training.block import Program

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 6)).astype("float32")
Y = (X[:, :1] > 0).astype("float32")

pytestmark = pytest.mark.skipif(
    jax.default_backend() != "cpu" or jaxlib.version.__version_info__ < (0, 9),
    reason="kernels of XLA on a CPU, since jaxlib 0.9",
)

SMALL = {
    "dense": lambda: [layers.Dense(8, activation="relu")],
    "deep": lambda: [layers.Dense(8, activation="tanh") for _ in range(4)],
    "normalized": lambda: [layers.BatchNormalization(), layers.LayerNormalization()],
    "dropout": lambda: [layers.Dropout(0.3), layers.GaussianNoise(0.1)],
    "recurrent": lambda: [layers.Reshape((3, 2)), layers.LSTM(4)],
    "convolution": lambda: [layers.Reshape((6, 1)), layers.Conv1D(2, 3), layers.Flatten()],
}
LARGE = {
    "products": lambda: [layers.Dense(2000)],
    "gradient of a table": lambda: [
        layers.Rescaling(0.0), layers.Lambda(jnp.abs), layers.Embedding(20, 2), layers.Flatten(),
    ],
    "sort": lambda: [layers.Lambda(jnp.sort)],
    "numbers": lambda: [layers.Lambda(lambda x: jnp.tile(jnp.exp(x), 9999).mean(1)[:, None])],
}  # fmt: skip


@pytest.fixture
def begun(monkeypatch):
    """What `Program.begin` was called with and gave, in order."""
    seen = []
    begin = Program.begin

    def watched(self, chunk, state, per_step):
        passage = begin(self, chunk, state, per_step)
        seen.append((self, state, passage))
        return passage

    monkeypatch.setattr(Program, "begin", watched)
    return seen


def _trained(body, **options):
    talweg.utils.set_random_seed(3)
    model = talweg.Sequential([talweg.Input((6,)), *body(), layers.Dense(1, activation="sigmoid")])
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    model.fit(X, Y, batch_size=8, verbose=0, epochs=2, **options)
    return model


def _is_kernel(program, state, passage):
    loop = program._loop[passage.fits]
    lowered = loop.lower(*program.split(state), *passage.loop_arguments(0, 1))
    return "xla_cpu_small_call" in lowered.compile().as_text()


@pytest.mark.parametrize("body", SMALL.values(), ids=SMALL)
def test_xla_makes_one_kernel_of_what_is_said_to_fit(body, begun):
    _trained(body)
    assert begun[0][2].fits
    assert _is_kernel(*begun[0])


@pytest.mark.parametrize("body", LARGE.values(), ids=LARGE)
def test_what_is_large_or_outside_keeps_the_library(body, begun):
    _trained(body)
    assert not begun[0][2].fits


def test_a_large_batch_of_the_same_model_does_not_fit(begun):
    model = _trained(lambda: [layers.Dense(64)])
    model.fit(np.tile(X, (40, 1)), np.tile(Y, (40, 1)), batch_size=1000, verbose=0)
    assert [passage.fits for _, _, passage in begun] == [True, True, False]


def test_steps_one_by_one_with_logs_or_in_blocks_give_the_same_bits(begun):
    class Logs(talweg.callbacks.Callback):
        reads = "logs"

        def on_train_batch_end(self, batch, logs=None):
            assert logs

    class Weights(talweg.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            assert self.model.get_weights()

    for body in (SMALL["deep"], SMALL["dropout"]):
        begun.clear()
        models = [_trained(body, callbacks=c) for c in ([], [Logs()], [Weights()])]
        assert {p.mode for _, _, p in begun} == {"no", "logs", "weights"}
        first, *others = (m.get_weights() + m.optimizer.variables for m in models)
        for other in others:
            assert all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


START = """
import os
before = os.environ.get("XLA_FLAGS")
{first}
import talweg, numpy as np
from talweg.core import kernels
assert os.environ.get("XLA_FLAGS") == before
model = talweg.Sequential([talweg.Input((3,)), talweg.layers.Dense(4), talweg.layers.Dense(1)])
model.compile("adam", "mse")
losses = model.fit(np.ones((40, 3)), np.ones((40, 1)), epochs=3, verbose=0).history["loss"]
assert losses[-1] < losses[0]
print(kernels._raised, os.environ.get("XLA_FLAGS"))
"""


@pytest.mark.parametrize(
    ("first", "flags", "raised"),
    [
        ("", "--xla_force_host_platform_device_count=2", True),
        ("import jax; jax.devices()", None, False),
        ("", "--xla_backend_extra_options=xla_cpu_small_while_loop_byte_threshold=9", False),
    ],
    ids=["beside flags", "after JAX has started", "beside its own options"],
)
def test_the_environment_stays_as_it_was(first, flags, raised):
    env = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    env |= {} if flags is None else {"XLA_FLAGS": flags}
    script = START.format(first=first)
    run = subprocess.run(
        [sys.executable, "-c", script], env=env, text=True, capture_output=True, check=False
    )
    assert run.stdout.split() == [str(raised), str(flags)], run.stderr


def test_flags_that_come_too_late_are_told():
    script = """
import os, talweg, numpy as np
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
model = talweg.Sequential([talweg.Input((3,)), talweg.layers.Dense(1)])
model.compile("adam", "mse")
for _ in range(2):
    model.fit(np.ones((4, 3)), np.ones((4, 1)), verbose=0)
"""
    run = subprocess.run([sys.executable, "-c", script], text=True, capture_output=True, check=True)
    assert run.stderr.count("Set it before the import") == 1
