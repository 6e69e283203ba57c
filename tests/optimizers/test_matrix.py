"""Muon, SOAP, Shampoo and Kron against their references, and what their matrix work costs."""

import inspect
import json
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import keras
import numpy as np
import optax
import pytest

from goldens import make_matrix
from goldens.matrix_cases import CASES, KEPT, flat, problem
from talweg import optimizers
from talweg.core.variables import Variable
from talweg.optimizers import matrices
from talweg.optimizers.shampoo import Blocks

FOLDER = Path(make_matrix.__file__).parent
RECORD = json.loads((FOLDER / "matrix.json").read_text())
PATHS = {
    "dense/kernel": (6, 4),
    "dense/bias": (4,),
    "second/kernel": (4, 6),
    "conv/kernel": (2, 2, 3, 2),
    "my_Embedding/embeddings": (5, 3),
    "scale": (),
    "logits/kernel": (4, 3),
}
METHODS = ("Muon", "SOAP", "Shampoo", "Kron")


def trajectory(optimizer, shapes):
    params, grads = problem(shapes)
    state, update = optimizer.init(params), jax.jit(optimizer.update)
    rows = []
    for gradient in grads:
        params, state = update(gradient, state, params)
        rows.append(flat(params))
    return np.stack(rows)


def run_case(name):
    cls, options, *_, shapes = CASES[name]
    rows = trajectory(getattr(optimizers, cls)(**options), shapes)
    return rows[[step - 1 for step in KEPT]]


@pytest.mark.sampled(count=5)
@pytest.mark.parametrize("name", CASES)
def test_trajectory_equals_the_recorded_one_of_pytorch_optimizer(name):
    with np.load(FOLDER / "matrix.npz") as file:
        recorded = file[name]
    np.testing.assert_allclose(run_case(name), recorded, rtol=1e-5, atol=3e-6)


def test_goldens_are_those_of_the_cases(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    assert RECORD["pytorch_optimizer"]
    assert tuple(RECORD["kept_steps"]) == KEPT
    assert RECORD["cases"] == json.loads(json.dumps(make_matrix.described()))


@pytest.mark.parity
@pytest.mark.parametrize("name", CASES)
def test_trajectory_equals_that_of_pytorch_optimizer_now(name, monkeypatch):
    pytest.importorskip("pytorch_optimizer")
    monkeypatch.syspath_prepend(str(FOLDER))
    now = make_matrix.run_torch(name)
    np.testing.assert_allclose(run_case(name), now, rtol=1e-5, atol=3e-6)


# -- Muon: Keras, optax, Jordan ---------------------------------------------------------


@pytest.mark.sampled(count=2)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"exclude_layers": ["logits", "^sec"], "rms_rate": None, "learning_rate": 0.02},
        {"nesterov": False, "ns_steps": 3, "adam_weight_decay": None, "adam_lr_ratio": 0.3},
        {"weight_decay": None, "exclude_embeddings": False, "muon_a": 3.0, "epsilon": 1e-3},
        {"weight_decay": 0.1, "adam_weight_decay": 0.0, "momentum": 0.8, "clipnorm": 0.5},
        {"gradient_accumulation_steps": 3, "use_ema": True, "adam_weight_decay": 0.2},
    ],
    ids=str,
)
def test_muon_equals_keras(options):
    params, grads = problem(tuple(PATHS.values()))
    theirs = []
    for path, p in zip(PATHS, params, strict=True):
        theirs.append(keras.Variable(p, name=path.split("/")[-1]))
        theirs[-1]._path = path
    reference = keras.optimizers.Muon(**options, name="muon")
    reference.exclude_from_weight_decay(var_names=["scale"])
    reference.build(theirs)
    step = jax.jit(reference.stateless_apply)
    state, values = [v.value for v in reference.variables], [v.value for v in theirs]
    mine = [Variable(p, name=path.split("/")[-1]) for path, p in zip(PATHS, params, strict=True)]
    for variable, path in zip(mine, PATHS, strict=True):
        variable.path = path
    optimizer = optimizers.Muon(**options, name="muon")
    optimizer.exclude_from_weight_decay(var_names=["scale"])
    optimizer.build(mine)
    for gradient in grads:
        values, state = step(state, gradient, values)
        optimizer.apply(gradient)
        for variable, value in zip(mine, values, strict=True):
            np.testing.assert_allclose(variable.numpy(), value, rtol=1e-5, atol=5e-6)
    assert [v.path for v in optimizer.variables] == [v.path for v in reference.variables]
    for variable, value in zip(optimizer.variables, state, strict=True):
        np.testing.assert_allclose(variable.numpy(), value, rtol=2e-5, atol=1e-5)
    with warnings.catch_warnings():  # of NumPy, about Keras's variables
        warnings.simplefilter("ignore", DeprecationWarning)
        assert optimizer.get_config() == reference.get_config()


def test_muon_takes_its_arguments_in_the_order_of_keras():
    theirs = list(inspect.signature(keras.optimizers.Muon.__init__).parameters)[1:-1]
    assert list(inspect.signature(optimizers.Muon).parameters) == theirs


def test_muon_equals_optax():
    """Without Nesterov's momentum: optax corrects its two parts for bias differently."""
    shapes = ((6, 4), (4,), (4, 6), ())
    mine = optimizers.Muon(
        0.02, weight_decay=None, adam_weight_decay=None, nesterov=False, epsilon=1e-12
    )
    theirs = optax.contrib.muon(0.02, nesterov=False, consistent_rms=0.2, eps=1e-12)
    params, grads = problem(shapes)
    state, step = theirs.init(params), jax.jit(theirs.update)
    for gradient, row in zip(grads, trajectory(mine, shapes), strict=True):
        updates, state = step(gradient, state, params)
        params = optax.apply_updates(params, updates)
        np.testing.assert_allclose(row, flat(params), rtol=1e-5, atol=5e-6)


def test_muon_has_the_published_settings_of_jordan_but_for_the_factor_of_tall_outputs():
    shapes = ((5, 3), (4, 4), (3, 6), (4,))
    mine = optimizers.Muon(
        0.02, adam_beta_2=0.95, epsilon=1e-10, weight_decay=None, adam_weight_decay=None,
        adam_lr_ratio=0.015, rms_rate=None,
    )  # fmt: skip
    got = trajectory(mine, shapes)
    starts, grads = problem(shapes)
    start = [np.float64(p) for p in starts]
    moments = [[np.zeros_like(p), np.zeros_like(p)] for p in start]
    params = [p.copy() for p in start]
    for t, gradient in enumerate(grads, 1):
        for p, g, s in zip(params, gradient, moments, strict=True):
            if p.ndim == 1:
                s[0] += 0.1 * (g - s[0])
                s[1] += 0.05 * (g * np.float64(g) - s[1])
                root = np.sqrt(s[1] / (1 - 0.95**t)) + 1e-10
                p -= 3e-4 * s[0] / (1 - 0.9**t) / root
                continue
            s[0] += 0.05 * (g - s[0])
            weight = (g + 0.95 * (s[0] - g)).T  # (outputs, inputs)
            factor = np.sqrt(max(1, weight.shape[0] / weight.shape[1]))
            ours = start[2].shape == p.shape  # more outputs than inputs
            p -= 0.02 * polar(weight).T * (1 if ours else factor)
            assert factor == (np.sqrt(2) if ours else 1)
        np.testing.assert_allclose(got[t - 1], flat(params), rtol=2e-5, atol=1e-5)


def polar(x):
    """Five steps of Newton-Schulz as Jordan has them."""
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / (np.linalg.norm(x) + 1e-7)
    for _ in range(5):
        square = x @ x.T
        x = 3.4445 * x + (-4.775 * square + 2.0315 * square @ square) @ x
    return x.T if tall else x


def test_muon_brings_singular_values_near_one():
    x = np.random.default_rng(0).normal(size=(8, 8)).astype("float32")
    found = optimizers.muon.newton_schulz(jnp.asarray(x), (3.4445, -4.775, 2.0315), 5)
    values = np.linalg.svd(np.asarray(found), compute_uv=False)
    assert values.max() < 1.3
    assert np.median(values) > 0.65


# -- Shampoo as Meta has it --------------------------------------------------------------


@pytest.mark.sampled(count=2)
@pytest.mark.parametrize("grafting", ["adam", "adagrad", "sgd", None], ids=str)
def test_shampoo_equals_its_equations(grafting):
    shapes = ((4, 3), (3,), (), (2, 3, 2))
    optimizer = optimizers.Shampoo(
        0.01, beta_2=0.99, precondition_frequency=4, start_preconditioning_step=6, epsilon=1e-6,
        merge_dims=False, grafting=grafting,
    )  # fmt: skip
    got = trajectory(optimizer, shapes)
    params, grads = problem(shapes)
    params = [np.float64(p) for p in params]
    kept = [
        {"m": 0.0, "v": 0.0, "L": [0.0] * max(p.ndim, 1), "R": [np.eye(n) for n in p.shape or (1,)]}
        for p in params
    ]
    for t, gradient in enumerate(grads, 1):
        for i, s in enumerate(kept):
            shape = params[i].shape
            g = np.float64(gradient[i]).reshape(shape or (1,))
            s["m"] = 0.9 * s["m"] + 0.1 * g
            s["v"] = s["v"] + g**2 if grafting == "adagrad" else 0.99 * s["v"] + 0.01 * g**2
            for k in range(g.ndim):
                rows = np.moveaxis(g, k, 0).reshape(g.shape[k], -1)
                s["L"][k] = 0.99 * s["L"][k] + 0.01 * rows @ rows.T
                if t == 6 or (t > 6 and t % 4 == 0):
                    values, vectors = np.linalg.eigh(s["L"][k] / (1 - 0.99**t))
                    values = values - min(values[0], 0) + 1e-6
                    s["R"][k] = vectors * values ** (-1 / (2 * g.ndim)) @ vectors.T
            m = s["m"] / (1 - 0.9**t)
            d = m
            for k in range(g.ndim):
                d = np.moveaxis(np.tensordot(s["R"][k], d, (1, k)), 0, k)
            correction = 1 - 0.99**t if grafting == "adam" else 1
            graft = m / (np.sqrt(s["v"] / correction) + 1e-8)
            graft = m if grafting in ("sgd", None) else graft
            if grafting is not None:
                scaled = d * np.linalg.norm(graft) / (np.linalg.norm(d) + 1e-16)
                d = graft if t < 6 else scaled
            params[i] = params[i] - 0.01 * d.reshape(shape)
        np.testing.assert_allclose(got[t - 1], flat(params), rtol=2e-5, atol=1e-5)


def test_shampoo_refuses_an_unknown_grafting():
    with pytest.raises(ValueError, match="grafting"):
        optimizers.Shampoo(grafting="rmsprop")


def test_blocks_are_even_and_join_to_the_tensor():
    blocks = Blocks.of((7, 4, 5), 3)
    assert (blocks.counts, blocks.sizes) == ((3, 2, 2), (3, 2, 3))
    x = jnp.arange(140.0).reshape(7, 2, 2, 5)
    cut = blocks.cut(x)
    assert cut.shape == (3, 2, 2, 3, 2, 3)
    assert float(cut[1, 1, 0, 0, 0, 2]) == float(x.reshape(7, 4, 5)[3, 2, 2])
    np.testing.assert_array_equal(blocks.join(cut, x.shape), x)


# -- Kron ----------------------------------------------------------------------------------


@pytest.mark.battery
@pytest.mark.parametrize(
    "options",
    [
        {"flat_start": 20, "probability_decay": 0.02},
        {"max_size_triangular": 3, "trust_region_scale": 0.7},
        {"memory_save_mode": "one_diag", "beta_1": 0.0, "preconditioner_rate": 0.05},
        {"memory_save_mode": "all_diag", "seed": 5318008},
    ],
    ids=str,
)
def test_kron_equals_its_equations(options, monkeypatch):
    """The noise is that of psgd_jax: its key, split as there."""
    monkeypatch.setattr(optimizers.kron, "BALANCED", 0.2)
    shapes = ((4, 3), (3,), (), (2, 3, 4))
    optimizer = optimizers.Kron(0.01, **options)
    got = trajectory(optimizer, shapes)
    params, grads = problem(shapes)
    params = [np.float64(p).reshape(p.shape or (1,)) for p in params]
    mu = [np.zeros_like(p) for p in params]
    triangular = options.get("memory_save_mode") is None
    largest = options.get("max_size_triangular", 8192)
    factors = [[None] * p.ndim for p in params]
    for p, own in zip(params, factors, strict=True):
        longest = max(range(p.ndim), key=lambda k, p=p: (p.shape[k], k))
        for k, n in enumerate(p.shape):
            full = triangular or (options["memory_save_mode"] == "one_diag" and k != longest)
            own[k] = np.eye(n) if full and p.ndim > 1 and n <= largest else np.ones(n)
    b1, scale = optimizer.beta_1, optimizer.trust_region_scale
    moved = 0

    @jax.jit
    def draws(step):
        key = jax.random.fold_in(jax.random.PRNGKey(optimizer.seed), step)
        key, draw = jax.random.split(key)
        key, sub = jax.random.split(jax.random.split(key)[1])
        keys = jax.random.split(sub, len(params))
        noise = [jax.random.normal(k, p.shape) for k, p in zip(keys, params, strict=True)]
        balance = jax.random.uniform(jax.random.split(key)[1])
        return jax.random.uniform(draw), noise, balance

    for t, gradient in enumerate(grads, 1):
        mu = [b1 * m + (1 - b1) * g for m, g in zip(mu, gradient, strict=True)]
        means = [m / (1 - b1**t) for m in mu]
        drawn, noise, balance = draws(t - 1)
        falling = np.exp(-optimizer.probability_decay * (t - optimizer.flat_start))
        if drawn < np.clip(falling, 0.03, 1):
            moved += 1
            factors = [
                kron_step(q, m, np.float64(v), optimizer.preconditioner_rate, balance < 0.2)
                for q, m, v in zip(factors, means, noise, strict=True)
            ]
        for i, (q, m) in enumerate(zip(factors, means, strict=True)):
            for k, f in enumerate(dense(q)):
                m = np.moveaxis(np.tensordot(f.T @ f, m, (1, k)), 0, k)
            x = m / scale
            step = 0.1 * np.sign(x) * np.log1p(abs(x)) + 0.9 * np.tanh(x)
            params[i] = params[i] - 0.01 * scale * step
        np.testing.assert_allclose(got[t - 1], flat(params), rtol=2e-5, atol=1e-5)
    assert moved == 100 or 20 < moved < 90


def dense(factors):
    return [np.diag(q) if q.ndim == 1 else q for q in factors]


def kron_step(factors, g, v, rate, balance):
    if balance and len(factors) > 1:
        norms = [abs(q).max() for q in factors]
        middle = np.prod(norms) ** (1 / len(norms))
        factors = [q * middle / n for q, n in zip(factors, norms, strict=True)]
    a, b = g, v
    for k, q in enumerate(dense(factors)):
        a = np.moveaxis(np.tensordot(q, a, (1, k)), 0, k)
        b = np.moveaxis(np.tensordot(np.linalg.inv(q).T, b, (1, k)), 0, k)
    result = []
    for k, q in enumerate(factors):
        aa, bb = (
            np.moveaxis(x, k, 0).reshape(x.shape[k], -1)
            @ np.moveaxis(x, k, 0).reshape(x.shape[k], -1).T
            for x in (a, b)
        )
        if q.ndim == 1:
            result.append(q - rate * np.diag(aa - bb) * q / np.diag(aa + bb).max())
            continue
        total = aa + bb
        x = total @ total[np.argmax(np.sum(total**2, axis=1))]
        bound = np.linalg.norm(total @ x) / np.linalg.norm(x)
        result.append(q - rate * np.triu(aa - bb) @ q / bound)
    return result


def test_kron_depends_on_its_seed_only():
    shapes = ((4, 3),)
    first, again, other = (trajectory(optimizers.Kron(seed=s), shapes) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


# -- what is shared --------------------------------------------------------------------------


def test_axes_are_merged_up_to_the_limit_and_the_last_stays():
    assert matrices.axes_of(()) == ()
    assert matrices.axes_of((1, 7, 1)) == (7,)
    assert matrices.axes_of((3, 3, 64, 128), 512) == (9, 64, 128)
    assert matrices.axes_of((3, 3, 64, 128), 10000) == (576, 128)
    assert matrices.axes_of((4, 5), 10000) == (4, 5)
    assert matrices.axes_of((2,) * 8) == (16, 2, 2, 2, 2)


def primitives(jaxpr, outside_cond):
    for equation in jaxpr.eqns:
        yield equation.primitive.name
        if equation.primitive.name == "cond" and outside_cond:
            continue
        for value in jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda v: hasattr(v, "eqns")
        ):
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                yield from primitives(inner, outside_cond)


@pytest.mark.parametrize(
    ("name", "dear"),
    [
        ("SOAP", {"eigh", "qr"}),
        ("Shampoo", {"eigh"}),
        ("Kron", {"triangular_solve"}),
    ],
)
def test_seldom_work_stays_in_a_condition_also_in_a_population(name, dear):
    optimizer = getattr(optimizers, name)()
    params, grads = problem(((4, 3), (2, 3, 4), (3,)))
    state = optimizer.init(params)
    population = jax.tree.map(lambda a: jnp.stack([a, a]), (grads[0], state, params))
    for step, arguments in (
        (optimizer.update, (grads[0], state, params)),
        (jax.vmap(optimizer.update), population),
    ):
        jaxpr = jax.make_jaxpr(step)(*arguments).jaxpr
        assert not dear & set(primitives(jaxpr, outside_cond=True))
        assert dear & set(primitives(jaxpr, outside_cond=False)) == dear


@pytest.mark.sampled
@pytest.mark.parametrize("name", ["SOAP", "Shampoo", "Kron"])
def test_members_at_other_steps_go_their_own_way(name):
    """In a population whose members are at other steps, each does its work when it is due."""
    few = {"precondition_frequency": 2} if name != "Kron" else {"max_probability": 0.5}
    optimizer = getattr(optimizers, name)(0.01, **few)
    params, grads = problem(((4, 3), (3,)))
    step = jax.jit(optimizer.update)
    members = []
    for ahead in range(3):
        p, s = params, optimizer.init(params)
        for gradient in grads[:ahead]:
            p, s = step(gradient, s, p)
        members.append((p, s))
    together = jax.tree.map(lambda *a: jnp.stack(a), *members)
    both = jax.jit(jax.vmap(optimizer.update, in_axes=(None, 0, 0)))
    for gradient in grads[5:9]:
        members = [step(gradient, s, p) for p, s in members]
        p, s = both(gradient, together[1], together[0])
        together = (p, s)
    for i, member in enumerate(members):
        for a, b in zip(jax.tree.leaves(together[0]), jax.tree.leaves(member[0]), strict=True):
            np.testing.assert_allclose(a[i], b, rtol=1e-5, atol=1e-6)


@pytest.mark.sampled
@pytest.mark.parametrize("name", METHODS)
def test_tensors_of_one_shape_go_their_own_way_in_their_batch(name):
    """Each of several tensors moves as it does in a tree of its own."""
    optimizer = getattr(optimizers, name)(0.01, **({"flat_start": 0} if name == "Kron" else {}))
    if name == "Kron":  # its noise depends on the place in the tree
        optimizer = optimizers.Kron(0.01, max_probability=0.0, min_probability=0.0)
    shapes = ((4, 3), (4, 3), (3, 4))
    params, grads = problem(shapes)
    state = optimizer.init(params)
    alone = [(p, optimizer.init([p])) for p in params]
    step = jax.jit(optimizer.update)
    for gradient in grads[:12]:
        params, state = step(gradient, state, params)
        for i, (p, s) in enumerate(alone):
            (p,), s = step([gradient[i]], s, [jnp.asarray(p)])
            alone[i] = (p, s)
    for together, (p, _) in zip(params, alone, strict=True):
        np.testing.assert_allclose(together, p, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", METHODS)
def test_double_precision_is_kept(name):
    with jax.enable_x64(True):
        optimizer = getattr(optimizers, name)(0.01)
        p = jnp.ones((3, 2), "float64")
        state = jax.eval_shape(optimizer.init, [p])
        (new,), state = jax.eval_shape(optimizer.update, [p], state, [p])
        assert new.dtype == jnp.float64
        assert {s.dtype for s in jax.tree.leaves(state.slots)} == {jnp.dtype("float64")}
