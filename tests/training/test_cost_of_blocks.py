"""What a block must not cost: copies of a large state, and the same trace again."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import talweg
from talweg.core.variables import Variable
from talweg.optimizers.transforms import all_finite


class Seen(talweg.layers.Layer):
    """Counts how often it is traced."""

    traces = 0

    def call(self, inputs):
        type(self).traces += isinstance(inputs, jax.core.Tracer)
        return inputs


def test_a_large_model_hands_its_arrays_to_the_next_block_without_copies(monkeypatch):
    model = talweg.Sequential([talweg.Input((1100,)), talweg.layers.Dense(1000)])
    model.compile("adam", "mse")
    x, y = np.zeros((24, 1100), "float32"), np.zeros((24, 1000), "float32")
    model.fit(x, y, batch_size=1, verbose=0)
    blocks, copies = [], []

    class Blocks(talweg.callbacks.Callback):
        def on_block_end(self, step, logs=None):
            blocks.append(step)

    assign = Variable.assign

    def watched(self, value):
        if isinstance(value, np.ndarray) and value.size > 1000:
            copies.append(self.name)
        return assign(self, value)

    monkeypatch.setattr(Variable, "assign", watched)
    model.fit(x, y, batch_size=1, epochs=3, verbose=0, callbacks=[Blocks()])
    assert len(blocks) > 2
    assert copies == []


def test_programs_of_one_step_share_its_trace():
    Seen.traces = 0
    model = talweg.Sequential([talweg.Input((3,)), Seen(), talweg.layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.zeros((20, 3), "float32"), np.zeros((20, 1), "float32")
    model.fit(x, y, batch_size=4, verbose=0)
    once = Seen.traces

    class AfterEachStep(talweg.callbacks.Callback):
        reads = "logs"

        def on_train_batch_end(self, batch, logs=None):
            assert logs["loss"] >= 0

    model.fit(x, y, batch_size=4, verbose=0, callbacks=[AfterEachStep()])
    assert len(model._trainee.train_program.traces) > 1
    assert Seen.traces == once


@pytest.mark.sampled(count=6)
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("shape", [(3,), (20_000,), (700, 50), (50, 700, 1)])
def test_one_entry_that_is_not_finite_is_found_wherever_it_stands(shape, dtype):
    largest = jnp.full(shape, jnp.finfo(dtype).max, dtype)
    found = jax.jit(lambda x: all_finite([jnp.zeros(2), x]))
    assert found(largest)
    assert found(-largest)
    for value in (jnp.nan, jnp.inf, -jnp.inf):
        for place in (0, largest.size // 2, largest.size - 1):
            assert not found(largest.ravel().at[place].set(value).reshape(shape))
