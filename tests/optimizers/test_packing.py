"""Packed weights: the same numbers, and only where a step looks at every number by itself."""

import inspect

import jax
import numpy as np
import pytest

import talweg
from talweg import layers, optimizers
from talweg.core.random import set_random_seed
from talweg.core.variables import Variable
from talweg.optimizers import Optimizer
from talweg.optimizers.packing import packing_of
from talweg.testing.problems import compiled, gradients, parameters

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4)).astype("float32")
Y = (X[:, :1] - X[:, 1:2]).astype("float32")

BY_NUMBER = [
    cls
    for cls in (getattr(optimizers, name) for name in optimizers.__all__)
    if inspect.isclass(cls)
    and issubclass(cls, Optimizer)
    and hasattr(getattr(cls, "rule", None), "elementwise")
]


def built(optimizer):
    variables = [Variable(value) for value in parameters()]
    optimizer.build(variables)
    return optimizer, variables, packing_of(optimizer, variables)


def test_most_rules_look_at_every_number_by_itself() -> None:
    assert len(BY_NUMBER) >= 17
    for cls in (optimizers.Lamb, optimizers.Adafactor, optimizers.LARS, optimizers.Rprop):
        assert cls not in BY_NUMBER


@pytest.mark.sampled(count=6)
@pytest.mark.parametrize("cls", BY_NUMBER, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.1, "clipvalue": 0.5, "use_ema": True}])
def test_a_packed_step_gives_the_same_numbers(cls, options) -> None:
    optimizer, variables, packing = built(cls(**options))
    params, state = [v.value for v in variables], optimizer.cells_now()
    start = state
    alone = compiled(lambda g, p, s: optimizer.update_leaves(g, s, p, optimizer.tensors))
    packed = compiled(lambda g, p, s: optimizer.update_leaves(g, s, p, packing.tensors))
    joined = packing.pack(params, state)
    assert len(joined[0]) == len(packing.tensors) < len(params)
    for step in gradients(3):
        params, state = alone(step, params, state)
        joined = packed(packing.pack(step, start)[0], *joined)
    for one, other in zip(
        jax.tree.leaves((params, state)), jax.tree.leaves(packing.unpack(*joined)), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: optimizers.Adam(clipnorm=1.0),
        lambda: optimizers.SGD(global_clipnorm=1.0),
        optimizers.Lamb,
        optimizers.Muon,
        optimizers.Shampoo,
        lambda: optimizers.Lookahead(optimizers.SGD()),
        lambda: optimizers.Cautious(optimizers.Adam()),
        lambda: optimizers.ByPath({"*": 0.5}, default=optimizers.Adam()),
    ],
)
def test_what_looks_at_whole_tensors_is_not_packed(optimizer) -> None:
    assert built(optimizer())[2] is None


def test_a_rule_or_a_decay_of_ones_own_is_not_packed() -> None:
    class Normalized(optimizers.Adam):
        rule = staticmethod(
            lambda g, p, s, h, t: (-h.learning_rate * g / (1e-7 + jax.numpy.linalg.norm(g)), s)
        )

    class Chosen(optimizers.AdamW):
        def decay_of(self, p, name, values):
            return values["weight_decay"] if name.endswith("kernel") else None

    class Whole(optimizers.SGD):
        def apply_rule(self, grads, *rest):
            return super().apply_rule([g - g.mean() for g in grads], *rest)

    for optimizer in (Normalized(), Chosen(), Whole()):
        assert built(optimizer)[2] is None


def test_what_decays_and_what_does_not_lie_apart() -> None:
    optimizer = optimizers.AdamW()
    variables = [Variable(value) for value in parameters()]
    optimizer.exclude_from_weight_decay(var_list=variables[:1])
    optimizer.build(variables)
    assert [t.decays for t in packing_of(optimizer, variables).tensors] == [False, True]


def test_constraints_see_their_own_tensor() -> None:
    def model(constraint):
        set_random_seed(3)
        model = talweg.Sequential(
            [talweg.Input((4,)), layers.Dense(5, kernel_constraint=constraint), layers.Dense(1)]
        )
        model.compile(optimizers.Adam(0.1), "mse")
        model.fit(X, Y, epochs=3, batch_size=8, verbose=0)
        return model

    free, bound = model(None), model("max_norm")
    assert free._trainee.train_program.packed is not None
    assert bound._trainee.train_program.packed is None
    norms = np.linalg.norm(bound.layers[0].get_weights()[0], axis=0)
    assert norms.max() <= 2.0 + 1e-6


@pytest.mark.parametrize(
    "options", [{"gradient_accumulation_steps": 3}, {"use_ema": True, "ema_overwrite_frequency": 4}]
)
def test_fit_packs_and_unpacks_all_that_an_optimizer_keeps(options) -> None:
    """The same training in blocks, which are packed, and step by step, which is not."""
    models = []
    for steps in ("auto", 1):
        set_random_seed(5)
        model = talweg.Sequential(
            [talweg.Input((4,)), layers.Dense(6, activation="tanh"), layers.Dense(1)]
        )
        model.compile(optimizers.Nadam(0.05, **options), "mse", steps_per_execution=steps)
        model.fit(X, Y, epochs=3, batch_size=8, verbose=0)
        models.append(model)
    packed, plain = ([*m.variables, *m.optimizer.variables] for m in models)
    for one, other in zip(packed, plain, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-4, atol=1e-6)
