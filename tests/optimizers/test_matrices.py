"""What the matrix methods share: decompositions in batches, one after the other."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from talweg.optimizers.matrices import by_shape, decomposed

SCRIPT = """
import jax, numpy as np
from talweg import optimizers

optimizer = optimizers.get({name!r})
rng = np.random.default_rng(0)
grads = [rng.normal(size=(100 + 10 * (i % 5), 160)).astype("float32") for i in range(10)]
params = [np.zeros_like(g) for g in grads]
state = optimizer.init(params)
update = jax.jit(optimizer.update)
for _ in range(21):
    params, state = update(grads, state, params)
jax.block_until_ready(params)
"""


@pytest.mark.parametrize("name", ["soap", "shampoo"])
def test_matrices_of_many_shapes_do_not_wait_for_each_other_for_ever(name):
    made = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(name=name)],
        capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr


def test_decompositions_come_in_the_order_of_their_matrices():
    rng = np.random.default_rng(0)
    matrices = [jnp.asarray(rng.normal(size=(n, n)), "float32") for n in (3, 5, 3, 4, 5)]
    made = decomposed(lambda a: jnp.linalg.qr(a)[0], matrices, after=[matrices[0]])
    for one, matrix in zip(made, matrices, strict=True):
        np.testing.assert_allclose(one, jnp.linalg.qr(matrix)[0], rtol=1e-5, atol=1e-6)
    assert decomposed(jnp.linalg.cholesky, []) == []


def test_large_matrices_go_alone_also_those_of_a_population():
    def bases(matrices):
        return decomposed(lambda a: jnp.linalg.qr(a)[0], matrices)

    matrices = [*np.random.default_rng(0).normal(size=(3, 200, 200)).astype("float32")]
    population = [np.stack([matrix, -matrix]) for matrix in matrices]
    made, both = jax.jit(bases)(matrices), jax.jit(jax.vmap(bases))(population)
    for one, two, matrix in zip(made, both, matrices, strict=True):
        np.testing.assert_allclose(one, jnp.linalg.qr(matrix)[0], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(two[1], jnp.linalg.qr(-matrix)[0], rtol=1e-4, atol=1e-5)
    for way, given in ((bases, matrices), (jax.vmap(bases), population)):
        text = jax.jit(way).lower(given).as_text()
        calls = [line for line in text.splitlines() if "geqrf" in line]
        assert calls
        assert not any("2x200x200" in call for call in calls)


def test_what_is_no_number_stays_where_it_is():
    matrices = [jnp.full((2, 2), jnp.nan), jnp.eye(3)]
    bad, good = decomposed(lambda a: jnp.linalg.qr(a)[0], matrices, always=True)
    assert np.isnan(bad).all()
    np.testing.assert_allclose(np.abs(good), np.eye(3))


def test_no_decomposition_may_begin_before_the_last_one_is_done():
    matrices = [jnp.eye(n) for n in (3, 4, 5)]

    def bases(matrices):
        return decomposed(lambda a: jnp.linalg.qr(a)[0], matrices, always=True)

    lines = jax.jit(bases).lower(matrices).compile().as_text().splitlines()
    for name in ("%matrices_1_", "%matrices_2_"):
        readers = [line for line in lines if name in line and " fusion(" in line]
        assert readers
        assert all("householder_product" in line for line in readers)


def test_rows_of_one_shape_go_through_a_function_together():
    seen = []

    def function(a, b):
        seen.append(a.shape)
        return a + b, a - b

    arrays = [jnp.ones((2, 2)), jnp.ones((3, 2)), 2 * jnp.ones((2, 2))]
    made = by_shape(function, arrays, arrays)
    assert sorted(seen) == [(2, 2, 2), (3, 2)]
    assert [float(total[0, 0]) for total, _ in made] == [2, 2, 4]
