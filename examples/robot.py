"""Robot: a cart learns to balance a pole, by trial and error (REINFORCE with a baseline).

Data: none; the environment CartPole-v1 of Gymnasium, which is simulated
Model: two heads on a dense layer of 64: which way to push, and how well it will go
Baseline: pushing at random

An episode ends when the pole falls or after 500 steps, and each step earns 1. Score: the mean
return over 100 episodes that start elsewhere than those of the training. The training loop is
written by hand over `model.stateless_call`, `jax.grad` and `optimizer.stateless_apply`.

Source: Williams, Simple statistical gradient-following algorithms, Machine Learning 8, 1992.
"""

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import talweg
from talweg import layers

DISCOUNT = 0.99
Choice = Callable[[np.ndarray], np.ndarray]


def build() -> talweg.Model:
    """What is seen (position, speed, angle, angular speed) to two logits and a value."""
    seen = layers.Input((4,))
    x = layers.Dense(64, activation="tanh")(seen)
    return talweg.Model(seen, [layers.Dense(2)(x), layers.Dense(1)(x)])


def play(environments: Any, choose: Choice, seed: int) -> tuple[np.ndarray, ...]:
    """One episode in each environment: what was seen, done, still ran, and stands in the end."""
    seen, _ = environments.reset(seed=seed)
    running = np.ones(environments.num_envs, bool)
    steps, stands = [], ~running
    while running.any():
        actions = choose(seen)
        steps.append((seen, actions, running))
        seen, _, fell, ended, _ = environments.step(actions)
        stands |= running & ended & ~fell
        running = running & ~(fell | ended)
    return *(np.stack(part) for part in zip(*steps, strict=True)), stands


def returns_to_go(running: np.ndarray, stands: np.ndarray) -> np.ndarray:
    """From each step on, what is still earned, discounted; for ever, where the pole stands."""
    left, to_go = stands / (1.0 - DISCOUNT), np.zeros(running.shape)
    for step in reversed(range(len(running))):
        left = running[step] * (1.0 + DISCOUNT * left)
        to_go[step] = left
    return to_go


def make_update(model: talweg.Model, optimizer: talweg.optimizers.Optimizer) -> Callable:
    """A compiled update of the weights on a batch of steps."""

    def loss(weights: list, fixed: list, seen: Any, actions: Any, to_go: Any, mask: Any) -> Any:
        (logits, value), _ = model.stateless_call(weights, fixed, seen, training=True)
        value, share = value[:, 0], mask / mask.sum()
        log_likely = jax.nn.log_softmax(logits)
        taken = jnp.take_along_axis(log_likely, actions[:, None], axis=1)[:, 0]
        entropy = -jnp.sum(jnp.exp(log_likely) * log_likely, axis=1)
        better = jax.lax.stop_gradient(to_go - value)
        better = better / (jnp.sqrt(jnp.sum(share * better**2)) + 1e-6)
        policy = -taken * better - 0.005 * entropy
        return jnp.sum(share * (policy + 0.001 * (value - to_go) ** 2))

    @jax.jit
    def update(weights: list, state: list, *batch: Any) -> tuple[list, list]:
        gradients = jax.grad(loss)(weights, [], *batch)
        return optimizer.stateless_apply(state, gradients, weights)

    return update


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=100, help="updates of the policy")
    parser.add_argument("--rows", type=int, default=16, help="episodes for each update")
    parser.add_argument("--episodes", type=int, default=100, help="episodes to be tried in")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    try:
        import gymnasium
    except ModuleNotFoundError:
        raise SystemExit('robot: gymnasium is missing; pip install "talweg[robotics]"') from None
    talweg.utils.set_random_seed(options.seed)

    model = build()
    rate = talweg.optimizers.schedules.CosineDecay(1e-2, options.epochs)
    optimizer = talweg.optimizers.Adam(rate, global_clipnorm=1.0)
    optimizer.build(model.trainable_variables)
    weights = [v.value for v in model.trainable_variables]
    state = [v.value for v in optimizer.variables]
    update = make_update(model, optimizer)
    logits = jax.jit(lambda weights, seen: model.stateless_call(weights, [], seen)[0][0])
    draw = np.random.default_rng(options.seed)

    def sample(seen: np.ndarray) -> np.ndarray:
        return np.argmax(np.asarray(logits(weights, seen)) + draw.gumbel(size=(len(seen), 2)), 1)

    environments = gymnasium.make_vec("CartPole-v1", options.rows)
    steps = 500 * options.rows  # of one length, so that the update is compiled once
    for epoch in range(options.epochs):
        seen, actions, running, stands = play(
            environments, sample, seed=options.seed + 1000 * epoch
        )
        parts = (
            seen.reshape(-1, 4),
            actions.ravel(),
            returns_to_go(running, stands).ravel(),
            running.ravel(),
        )
        batch = [
            np.pad(part, [(0, steps - len(part))] + [(0, 0)] * (part.ndim - 1)).astype(kind)
            for part, kind in zip(parts, ("float32", "int32", "float32", "float32"), strict=True)
        ]
        weights, state = update(weights, state, *batch)
        if (epoch + 1) % 10 == 0:
            mean = running.sum(axis=0).mean()
            print(f"update {epoch + 1:3d}: mean return while exploring {mean:.0f}")
    for variable, value in zip(model.trainable_variables, weights, strict=True):
        variable.assign(value)

    def best(seen: np.ndarray) -> np.ndarray:
        return np.argmax(model.predict_on_batch(seen)[0], axis=1)

    trials = gymnasium.make_vec("CartPole-v1", options.episodes)
    returns = [
        play(trials, choose, seed=10**6 + options.seed)[2].sum(axis=0).astype(float)
        for choose in (best, lambda seen: draw.integers(2, size=len(seen)))
    ]
    scores = {
        "mean_return": float(returns[0].mean()),
        "baseline": float(returns[1].mean()),
        "worst_return": float(returns[0].min()),
    }
    print("robot: " + ", ".join(f"{name} {value:.4g}" for name, value in scores.items()))
    return scores


if __name__ == "__main__":
    main()
