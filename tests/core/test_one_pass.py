"""Loops in C over large arrays: the numbers that XLA makes, in fewer passes."""

import functools
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from talweg.core import one_pass
from talweg.core.one_pass import in_one_pass, loop, set_fused_updates

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")

SIZE = 1000
SPECIAL = np.float32([0.0, -0.0, 1.5, -2.0, np.inf, -np.inf, np.nan, 1e-30])
LEFT, RIGHT = (jnp.asarray(a.ravel()) for a in np.meshgrid(SPECIAL, SPECIAL))


@pytest.fixture(autouse=True)
def small_arrays_are_large(monkeypatch):
    monkeypatch.setattr(one_pass, "LARGE", 2)


def loops_of(function, *args):
    """How many loops a function has in one pass."""
    return jax.jit(in_one_pass(function)).lower(*args).as_text().count("talweg_one_pass_")


def momentum(x, m, g):
    m = 0.9 * m + g
    return x - 0.1 * m, m


TERMS = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y,
    "neg": lambda x, y: -x,
    "abs": lambda x, y: jnp.abs(x),
    "sign": lambda x, y: jnp.sign(x),
    "max": jnp.maximum,
    "min": jnp.minimum,
    "square": lambda x, y: jnp.square(x),
    "cube": lambda x, y: x**3,
    "inverse": lambda x, y: x**-2,
    "sqrt": lambda x, y: jnp.sqrt(x),
    "eq": lambda x, y: x == y,
    "ne": lambda x, y: x != y,
    "lt": lambda x, y: x < y,
    "le": lambda x, y: x <= y,
    "gt": lambda x, y: x > y,
    "ge": lambda x, y: x >= y,
    "and": lambda x, y: (x > 0) & (y > 0),
    "or": lambda x, y: (x > 0) | (y > 0),
    "not": lambda x, y: ~(x > 0),
    "isfinite": lambda x, y: jnp.isfinite(x),
    "where": lambda x, y: jnp.where(x > y, x, 0.25),
    "clip": lambda x, y: jnp.clip(x, -1, 1),
    "to float": lambda x, y: (x > y).astype("float32"),
    "to bool": lambda x, y: x.astype("bool"),
    "constants": lambda x, y: x * jnp.float32(0.1) + jnp.inf,
    "minus minus infinity": lambda x, y: x + -jnp.full_like(y, -jnp.inf),
    "no number": lambda x, y: jnp.where(x > y, x, jnp.nan),
    "a constant": lambda x, y: jnp.where(x > y, True, y > 1),
    "zeros": lambda x, y: jnp.zeros_like(x) + y,
}


@pytest.mark.parametrize("name", TERMS)
def test_a_term_is_as_in_xla_for_numbers_that_are_none_as_well(name):
    def both(x, y):
        return TERMS[name](x, y), x - 2 * y

    assert loops_of(both, LEFT, RIGHT) == 1
    made, expected = jax.jit(in_one_pass(both))(LEFT, RIGHT), both(LEFT, RIGHT)
    for one, other in zip(made, expected, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_the_inverse_root_is_right_to_rounding():
    x = np.linspace(0.1, 3, SIZE, dtype="float32")
    made, _ = jax.jit(in_one_pass(lambda x: (jax.lax.rsqrt(x), -x)))(x)
    np.testing.assert_allclose(made, x.astype("float64") ** -0.5, rtol=3e-7)


def test_doubles_stay_doubles():
    with jax.enable_x64(True):
        x = np.linspace(0, 1, SIZE)
        made = jax.jit(in_one_pass(momentum))(x, x, x)
        for one, other in zip(made, momentum(x, x, x), strict=True):
            np.testing.assert_array_equal(one, other)


def test_it_writes_over_its_arrays_in_loops_as_well():
    big = jnp.ones(100_000)

    def steps(x, m, g):
        return jax.lax.fori_loop(0, 3, lambda i, c: in_one_pass(momentum)(*c, g), (x, m))

    compiled = jax.jit(steps, donate_argnums=(0, 1)).lower(big, big, big).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 10_000
    once = jax.jit(in_one_pass(momentum), donate_argnums=(0, 1)).lower(big, big, big).compile()
    assert "copy" not in once.as_text()


def test_what_is_needed_later_is_not_written_over():
    def step(x, m):
        moved, average = x - m, 0.5 * (x + m)
        return moved, average, x, moved.sum() + m.sum()

    x, m = np.arange(SIZE, dtype="float32"), np.ones(SIZE, "float32")
    for one, other in zip(jax.jit(in_one_pass(step))(x, m), step(x, m), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_arrays_that_are_treated_alike_share_a_call_and_one_result_needs_none():
    def both(x, m, y, n, rate):
        return momentum(x, m, x), momentum(y, n, rate * y)

    def alike(x, m, y, n, rate):
        return momentum(x, m, x), momentum(y, n, y)

    arrays = np.ones(SIZE), np.ones(SIZE), np.ones((3, 2)), np.ones((3, 2)), 0.5
    assert loops_of(alike, *arrays) == 1
    assert loops_of(both, *arrays) == 2
    assert loops_of(lambda x, g: x - 0.1 * g, np.ones(SIZE), np.ones(SIZE)) == 0
    for one, other in zip(
        jax.tree.leaves(jax.jit(in_one_pass(alike))(*arrays)),
        jax.tree.leaves(alike(*map(jnp.asarray, arrays))),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_small_arrays_stay_with_xla(monkeypatch):
    monkeypatch.setattr(one_pass, "LARGE", SIZE + 1)
    assert loops_of(momentum, *(np.ones(SIZE),) * 3) == 0


def test_a_condition_is_looked_into():
    def step(x, m, go):
        return jax.lax.cond(go, lambda x, m: momentum(x, m, x), lambda x, m: (x, m), x, m)

    x = jnp.linspace(0, 1, SIZE)
    assert loops_of(step, x, x, True) == 1
    for go in (True, False):
        for one, other in zip(in_one_pass(step)(x, x, go), step(x, x, go), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6)


def test_groups_with_scalars_of_their_own_share_a_call():
    def step(xs, ms, rates):
        return [momentum(x, m, rate * x) for x, m, rate in zip(xs, ms, rates, strict=True)]

    def of_three(arrays):
        return list(jnp.asarray(arrays).swapaxes(0, 1))

    rng = np.random.default_rng(0)
    xs, ms = rng.normal(size=(2, 2, 3, SIZE)).astype("float32")
    rates = rng.uniform(size=(2, 3)).astype("float32")
    assert loops_of(step, [*xs[0]], [*ms[0]], [*rates[0]]) == 1
    made = jax.jit(jax.vmap(in_one_pass(step)))(of_three(xs), of_three(ms), of_three(rates))
    expected = momentum(xs, ms, rates[:, :, None] * xs)
    for k, of_both in enumerate(made):
        for one, other in zip(of_both, expected, strict=True):
            np.testing.assert_allclose(one, other[:, k], rtol=1e-5, atol=1e-6)


def temporary(function, *args, kept=1):
    """Bytes that a function takes beside its inputs, all but the last of which it may overwrite."""
    donated = jax.jit(function, donate_argnums=tuple(range(len(args) - kept)))
    return donated.lower(*args).compile().memory_analysis().temp_size_in_bytes


BIG = jnp.ones(100_000)


def test_what_leads_to_a_simple_sum_is_computed_twice_and_not_kept():
    def step(x, m, g):
        return momentum(x, m, g / jnp.linalg.norm(g - x))

    assert loops_of(step, BIG, BIG, BIG) == 1
    assert temporary(in_one_pass(step), BIG, BIG, BIG) < 10_000


def test_what_leads_to_another_sum_is_kept_by_the_loop_that_makes_it():
    def step(x, m, v, g):
        m, v = 0.9 * m + g, 0.9 * v + g * g
        change = m / jnp.sqrt(v)
        return x - change / jnp.linalg.norm(change), m, v

    assert loops_of(step, *(BIG,) * 4) == 1
    assert temporary(in_one_pass(step), *(BIG,) * 4) < BIG.nbytes + 10_000


def test_one_after_the_other_loops_read_what_the_last_one_wrote():
    def step(x, m, g):
        for _ in range(3):
            x, m = momentum(x, m, g)
            g = jnp.sort(m) + jnp.sort(x)
        return x, m

    x, m, g = np.random.default_rng(1).normal(size=(3, SIZE)).astype("float32")
    assert loops_of(step, x, m, g) == 3
    for one, other in zip(jax.jit(in_one_pass(step))(x, m, g), step(x, m, g), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_a_loop_that_would_move_more_than_xla_is_not_made():
    def step(x, m, g):  # the power would have to be written, and read again
        return x - m, x + jnp.exp(m) + g

    assert loops_of(step, *(np.ones(SIZE, "float32"),) * 3) == 0


def test_numbers_of_16_bits_are_read_and_written_as_xla_does():
    kinds = np.arange(1 << 16, dtype=np.uint16).view(jnp.bfloat16)
    middles = kinds.view(np.uint16).astype(np.uint32) << 16 | 0x8000  # between two of them
    x = np.concatenate([middles.view("float32"), kinds.astype("float32")])
    kept = np.resize(kinds, x.shape)

    def step(x, kept):
        wide = kept.astype("float32") + 1.0
        narrow = jnp.where(x > 0, x.astype(jnp.bfloat16), jnp.bfloat16(0.25))
        return narrow, wide + x, jnp.where(x > 1, kept, narrow), wide.astype(jnp.bfloat16) > 0

    assert loops_of(step, x, kept) == 1
    for one, other in zip(jax.jit(in_one_pass(step))(x, kept), jax.jit(step)(x, kept), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one.astype("float32"), other.astype("float32"))


def test_what_stands_between_products_stays_with_xla():
    def step(x, m, g):
        return momentum(x, m, g @ g.T)

    square = np.ones((20, 20), "float32")
    assert loops_of(step, square, square, square) == 0


def test_arithmetic_in_16_bits_stays_with_xla():
    x = np.ones(SIZE, jnp.bfloat16)
    assert loops_of(lambda x, y: (x + y, x - y), x, x) == 0


def stays(*arrays):
    return arrays


def test_what_stands_still_is_not_read():
    def step(x, m, g, go):
        return jax.lax.cond(go, lambda x, m: momentum(x, m, g), stays, x, m)

    not_numbers = jnp.full(SIZE, jnp.nan)
    x = jnp.linspace(0, 1, SIZE)
    text = jax.jit(in_one_pass(step)).lower(x, x, x, True).as_text()
    assert "stablehlo.case" not in text
    moved = in_one_pass(step)(x, x, x, True)
    for one, other in zip(moved, momentum(x, x, x), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
    for one in in_one_pass(step)(x, x, not_numbers, False):
        np.testing.assert_array_equal(one, x)
    assert temporary(in_one_pass(step), BIG, BIG, BIG, True, kept=2) < 10_000


def test_each_member_of_a_population_stands_still_by_itself():
    def step(x, m, go):
        return jax.lax.cond(go, lambda x, m: momentum(x, m, x), stays, x, m)

    def many(x, m, go):
        return jax.lax.fori_loop(0, 3, lambda i, c: jax.vmap(in_one_pass(step))(*c, go), (x, m))

    x, m = np.random.default_rng(2).normal(size=(2, 4, 70_000)).astype("float32")
    go = np.array([True, False, False, True])
    made = jax.jit(many, donate_argnums=(0, 1))(jnp.asarray(x), jnp.asarray(m), go)
    for k in range(4):
        expected = x[k], m[k]
        for _ in range(3):
            expected = momentum(*expected, expected[0]) if go[k] else expected
        for one, other in zip(made, expected, strict=True):
            np.testing.assert_allclose(one[k], other, rtol=1e-5, atol=1e-6)


def test_conditions_that_do_more_than_arithmetic_remain():
    def step(x, m, g, go):
        return jax.lax.cond(go, lambda x, m: momentum(x, jnp.sort(m), g), stays, x, m)

    x = jnp.linspace(1, 0, SIZE)
    assert "stablehlo.case" in jax.jit(in_one_pass(step)).lower(x, x, x, True).as_text()
    for go in (True, False):
        for one, other in zip(in_one_pass(step)(x, x, x, go), step(x, x, x, go), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6)


def test_what_prints_does_so_once():
    seen = []

    def step(x, m):
        x, m = momentum(x, m, jnp.sort(x))
        jax.debug.callback(lambda total: seen.append(float(total)), x.sum() + m[0])
        return x, m

    x = jnp.ones(SIZE)
    jax.block_until_ready(jax.jit(in_one_pass(step))(x, x))
    jax.effects_barrier()
    assert len(seen) == 1


@pytest.mark.parametrize("size", [1, 7, SIZE, 200_000])
def test_members_of_a_population_have_the_numbers_that_they_have_alone(size):
    def step(x, m, rate, decay):
        m = decay * m + x
        return x - rate * m, m

    rng = np.random.default_rng(0)
    x, m = rng.normal(size=(2, 3, size)).astype("float32")
    rate, decay = np.float32([0.1, 0.2, 0.3]), np.float32(0.9)
    together = jax.jit(jax.vmap(in_one_pass(step), (0, 0, 0, None)))(x, m, rate, decay)
    for k in range(3):
        alone = jax.jit(in_one_pass(step))(x[k], m[k], rate[k], decay)
        for one, other in zip(together, alone, strict=True):
            np.testing.assert_array_equal(one[k], other)


def test_populations_of_populations_and_without_scalars():
    def step(x, m):
        return x - m, x + m

    x = np.arange(2 * 3 * SIZE, dtype="float32").reshape(2, 3, SIZE)
    twice = jax.jit(jax.vmap(jax.vmap(in_one_pass(step))))
    for one, other in zip(twice(x, 2 * x), step(x, 2 * x), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(in_one_pass(step)(x[0, 0], x[0, 1]), step(x[0, 0], x[0, 1]), strict=True):
        np.testing.assert_array_equal(one, other)


def test_it_is_differentiated_as_in_xla():
    def loss(function, rate, x, m):
        moved, average = function(x, m, rate)
        return (moved * x).sum() + jnp.square(average).mean()

    def step(x, m, rate):
        m = jnp.where(x > 0, 0.9 * m + x, jnp.zeros_like(x) + rate)
        return x - rate * jnp.sqrt(jnp.abs(m) + 0.1), m

    x, m = jnp.asarray(np.random.default_rng(0).normal(size=(2, SIZE)), "float32")
    arguments = jnp.float32(0.3), x, m
    for way in (jax.grad, jax.jacfwd):
        made, expected = (
            jax.jit(way(functools.partial(loss, function), argnums=(0, 2)))(*arguments)
            for function in (in_one_pass(step), step)
        )
        for one, other in zip(made, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_threads_may_trace_one_loop_at_a_time():
    def step(x):
        return x * 3.25, x + 5.75

    x = jnp.arange(SIZE, dtype="float32")
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: jax.jit(in_one_pass(step))(x), range(4)))
    for first, second in made:
        np.testing.assert_array_equal(first, x * 3.25)
        np.testing.assert_array_equal(second, x + 5.75)


def test_complex_numbers_and_integers_stay_with_xla():
    def step(x, n):
        return x * (1 + 2j), x - 1j, n * 2, n + 1

    x, n = jnp.ones(SIZE, "complex64"), jnp.arange(SIZE)
    assert loops_of(step, x, n) == 0
    for one, other in zip(in_one_pass(step)(x, n), step(x, n), strict=True):
        np.testing.assert_array_equal(one, other)


# An instruction: what to do, and to which of the arrays made so far, counted from the last.
INSTRUCTIONS = st.tuples(
    st.sampled_from(
        [
            "add",
            "sub",
            "mul",
            "max",
            "mean",
            "sort",
            "reverse",
            "scale",
            "where",
            "narrow",
            "count",
            "maybe",
        ]
    ),
    st.integers(0, 5),
    st.integers(0, 5),
)


def interpreted(instructions, x, y):
    """What the instructions make of two arrays, and of one of another shape."""
    made = [x, y, y[: SIZE // 2], x + y, x]
    for name, i, j in instructions:
        a, b = made[-1 - i % len(made)], made[-1 - j % len(made)]
        b = b if b.shape == a.shape else a
        made.append({
            "add": lambda a, b: a + b,
            "sub": lambda a, b: a - 0.5 * b,
            "mul": lambda a, b: a * jnp.tanh(b),
            "max": jnp.maximum,
            "mean": lambda a, b: a - b.mean(),
            "sort": lambda a, b: jnp.sort(a) + b,
            "reverse": lambda a, b: a[::-1],
            "scale": lambda a, b: a / (1 + jnp.linalg.norm(b)),
            "where": lambda a, b: jnp.where(a > b, 0.5 * a, b),
            "narrow": lambda a, b: (a + b).astype(jnp.bfloat16).astype("float32"),
            "count": lambda a, b: a - 0.01 * (a * b > 0).sum(),
            "maybe": lambda a, b: sum(
                jax.lax.cond(a[0] > b[0], lambda a, b: momentum(a, b, a), stays, a, b)
            ),
        }[name](a, b))  # fmt: skip
    return made[-4:]


@hypothesis.given(st.lists(INSTRUCTIONS, min_size=1, max_size=12))
def test_any_program_computes_what_it_does_in_xla(instructions):
    x, y = np.random.default_rng(len(instructions)).normal(size=(2, SIZE)).astype("float32")

    def function(x, y):
        return interpreted(instructions, x, y)

    made, expected = jax.jit(in_one_pass(function))(x, y), function(x, y)
    for one, other in zip(made, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


# -- the switch --------------------------------------------------------------------------------


@pytest.fixture
def switch(monkeypatch):
    """The switch as it is from the start on Linux, and as it was afterwards."""
    monkeypatch.setattr(one_pass, "_wanted", True)


def test_it_is_used_on_one_cpu_only(switch, monkeypatch):
    assert one_pass.in_use([jnp.ones(SIZE)])
    monkeypatch.setattr(jax, "device_count", lambda: 2)
    assert not one_pass.in_use([jnp.ones(SIZE)])


def test_it_is_off_where_it_is_set_so(switch):
    set_fused_updates(False)
    assert not one_pass.fused_updates()
    assert not one_pass.in_use([jnp.ones(SIZE)])
    set_fused_updates(True)
    assert one_pass.in_use([jnp.ones(SIZE)])


def test_without_a_compiler_xla_does_it_and_who_insists_is_told_what_to_install(
    switch, monkeypatch
):
    monkeypatch.setenv("CC", "no-such-compiler --fast")
    assert not one_pass.fused_updates()
    assert not one_pass.in_use([jnp.ones(SIZE)])
    with pytest.raises(RuntimeError, match=r"got none as 'no-such-compiler'\. Install gcc"):
        set_fused_updates(True)


@pytest.fixture
def failing(switch, monkeypatch):
    """A compiler that takes nothing, and no loop from before."""
    monkeypatch.setattr(loop, "_registered", loop._registered.__wrapped__)
    monkeypatch.setenv("CC", "false")


def test_a_compiler_that_fails_is_told_once_and_xla_does_it(failing):
    x = jnp.ones(SIZE)
    with pytest.warns(RuntimeWarning, match=r"(?s)left to XLA.*\nfalse -std.*ends with status 1"):
        made = in_one_pass(momentum)(x, x, x)
    for one, other in zip(made, momentum(x, x, x), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not one_pass.in_use([jnp.ones(SIZE)])


def test_who_insists_is_told_at_once_that_the_compiler_fails(failing):
    with pytest.raises(RuntimeError, match=r"(?s)mend the compiler.*ends with status 1"):
        set_fused_updates(True)


@pytest.mark.parametrize("value", ["0", "off", "1", ""])
def test_the_environment_sets_it(value):
    script = "import talweg; print(talweg.config.fused_updates())"
    environment = {**os.environ, "TALWEG_FUSED_UPDATES": value}
    made = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    wanted = value == "1" or (value == "" and sys.platform == "linux")
    assert made.stdout.strip() == str(wanted)


def test_another_value_in_the_environment_is_refused():
    environment = {**os.environ, "TALWEG_FUSED_UPDATES": "maybe"}
    made = subprocess.run(
        [sys.executable, "-c", "import talweg"], env=environment, capture_output=True, text=True
    )
    assert "TALWEG_FUSED_UPDATES must be 1 or 0, got 'maybe'" in made.stderr


def test_half_a_quotation_names_no_compiler(switch, monkeypatch):
    monkeypatch.setenv("CC", 'cc "-O2')
    assert not one_pass.fused_updates()


def test_a_word_is_no_answer():
    with pytest.raises(TypeError, match="set_fused_updates: value must be True or False"):
        set_fused_updates("False")  # pyright: ignore[reportArgumentType]


def test_empty_arrays_stay_with_xla():
    x, none = jnp.ones(SIZE), jnp.ones((0, 3))
    made = jax.jit(in_one_pass(lambda x, n: (x - 1, x + 1, n - 1, n + 1)))(x, none)
    assert [a.shape for a in made] == [(SIZE,), (SIZE,), (0, 3), (0, 3)]
    np.testing.assert_array_equal(made[0], x - 1)


def test_what_the_compiler_refuses_is_shown():
    with pytest.raises(RuntimeError, match=r"(?s)set_fused_updates\(False\).*loop\.c.*nonsense"):
        loop.registered("nonsense")


def test_the_caller_does_not_wait_for_it():
    x = jnp.ones(20_000_000)
    step = jax.jit(in_one_pass(momentum))
    jax.block_until_ready(step(x, x, x))
    made, _ = step(x, x, x)
    assert not made.is_ready()
