"""The update of an optimizer by itself: 50 million numbers in one array or in many.

Every peer gets the same gradients at every step and holds its weights and its state in
memory that a step writes over. What was learned (jax 0.10.2, two cores):

- jax pairs donated buffers with results by shape, in order. `jit(update, donate_argnums=(1,
  2))` with `update(grads, state, params) -> (params, state)` hands the momentum's buffer to
  the weights, and XLA then copies all of them, twice: 10 times slower, for talweg and optax
  alike. Here both are called as `step(params, state, grads) -> (params, state)`, as the
  engine's programs are.
- XLA on a CPU makes one pass over memory for each array that it writes: Adam reads and
  writes 10 words for each weight (m: 3, v: 3, the weight: 4), where 7 do in one pass, as
  in torch's fused Adam and in `core/one_pass`.
- An update that reads what its slot was before (Lion) makes XLA copy the slot, in optax as
  well. So does `where(fine, new, old)` around any update. `lax.cond(fine, update, stay)` copies
  nothing; `lax.cond(~fine, stay, update)` copies all.
- A plain copy allocates lines in the cache before it overwrites them, an update in place
  does not: a copy of the same bytes is no bound from below.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from benchmarks.peers import Peer, Trainer

NUMBERS = 50_000_000


@dataclass(frozen=True)
class Rule:
    """An optimizer under the names that it has with each peer, at talweg's defaults.

    Attributes:
        talweg: `(talweg.optimizers) -> ` the optimizer.
        optax: `(optax) -> ` the same.
        torch: `(torch.optim, parameters, options) -> ` the same; None where it has none.
        words: how many numbers a step must read and write for each weight.
    """

    talweg: Callable[[Any], Any]
    optax: Callable[[Any], Any]
    torch: Callable[..., Any] | None
    words: int


RULES: dict[str, Rule] = {
    "adam": Rule(
        lambda own: own.Adam(),
        lambda optax: optax.adam(1e-3, eps=1e-7),
        lambda optim, p, **kw: optim.Adam(p, lr=1e-3, eps=1e-7, **kw),
        words=7,
    ),
    "adamw": Rule(
        lambda own: own.AdamW(),
        lambda optax: optax.adamw(1e-3, eps=1e-7, weight_decay=0.004),
        lambda optim, p, **kw: optim.AdamW(p, lr=1e-3, eps=1e-7, weight_decay=0.004, **kw),
        words=7,
    ),
    "momentum": Rule(
        lambda own: own.SGD(0.01, momentum=0.9),
        lambda optax: optax.sgd(0.01, momentum=0.9),
        lambda optim, p, **kw: optim.SGD(p, lr=0.01, momentum=0.9, **kw),
        words=5,
    ),
    "lion": Rule(
        lambda own: own.Lion(),
        lambda optax: optax.lion(1e-3, b1=0.9, b2=0.99, weight_decay=0.0),
        None,
        words=5,
    ),
}


@dataclass(frozen=True)
class Update:
    """One update of all weights, again and again.

    Attributes:
        rule: the name in `RULES`.
        arrays: in how many arrays the numbers lie.
        numbers: how many weights.
        seconds: how long a measurement lasts, about.
        block: how many updates make a unit of work.
    """

    rule: str
    arrays: int
    numbers: int = NUMBERS
    seconds: float = 0.3
    block: int = 1

    @property
    def steps(self) -> float:
        """Updates in a unit of work; one of fewer numbers is a part of one."""
        return self.block * self.numbers / NUMBERS

    @property
    def bytes(self) -> float:
        """What a full update must read and write at least."""
        return 4.0 * NUMBERS * RULES[self.rule].words

    def quick(self) -> "Update":
        """The same with a fiftieth of the numbers."""
        return replace(self, numbers=self.numbers // 50, seconds=0.05)

    def gradients(self) -> list[np.ndarray]:
        """The gradients, the same at every call; few are drawn and repeated."""
        size = self.numbers // self.arrays
        drawn = np.random.default_rng(0).normal(size=min(size, 10_000)).astype("float32")
        return [np.resize(drawn, size) for _ in range(self.arrays)]


def talweg_updates(workload: Update) -> Trainer:
    """The pure `update`, jitted, with its arrays donated."""
    from talweg import optimizers

    optimizer = RULES[workload.rule].talweg(optimizers)

    def step(params: Any, state: Any, grads: Any) -> Any:
        return optimizer.update(grads, state, params)

    return jax_updates(workload, optimizer.init, step)


def optax_updates(workload: Update) -> Trainer:
    """optax's update and `apply_updates`, jitted as one, with its arrays donated."""
    import optax

    transformation = RULES[workload.rule].optax(optax)

    def step(params: Any, state: Any, grads: Any) -> Any:
        updates, state = transformation.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    return jax_updates(workload, transformation.init, step)


def jax_updates(
    workload: Update, init: Callable[[Any], Any], step: Callable[[Any, Any, Any], Any]
) -> Trainer:
    """`step(params, state, grads) -> (params, state)` in a loop of calls."""
    import jax
    import jax.numpy as jnp

    grads = [jnp.asarray(g) for g in workload.gradients()]
    params = [jnp.zeros_like(g) for g in grads]
    # Buffers of their own: the same one cannot be donated twice.
    held = [params, jax.tree.map(jnp.copy, init(params))]
    compiled = jax.jit(step, donate_argnums=(0, 1))

    def train(updates: int) -> float:
        for _ in range(updates):
            held[:] = compiled(held[0], held[1], grads)
        jax.block_until_ready(held)
        return float(held[0][0][0])

    return train


def talweg_blocks(workload: Update) -> Trainer:
    """Blocks of the program that `fit` runs for a large model, `STEPS` steps in each.

    The model costs nothing: its loss is 0, its gradients are given.
    """
    import jax
    import jax.numpy as jnp

    from talweg import optimizers
    from talweg.data.batches import Chunk, Sample
    from talweg.training.block import Program
    from talweg.training.state import NEVER, TrainState
    from talweg.training.step import Task, make_step

    optimizer = RULES[workload.rule].talweg(optimizers)

    @jax.custom_vjp
    def loss_of(params: Any, grads: Any) -> Any:
        return jnp.float32(0)

    loss_of.defvjp(
        lambda params, grads: (jnp.float32(0), grads),
        lambda grads, scale: ([scale * g for g in grads], None),
    )

    def objective(
        params: Any, fixed: Any, metrics: Any, batch: Any, training: bool, key: Any
    ) -> tuple[Any, Any]:
        return loss_of(params, fixed), (fixed, metrics)

    def update(grads: Any, state: Any, params: Any, again: Any) -> Any:
        return optimizer.update(grads, state, params)

    step = make_step(Task(objective, update), "gradients")
    moving = ("params", "optimizer", "metrics", "logs", "first_bad")
    program = Program(step, lambda state: {}, moving)
    grads = [jnp.asarray(g) for g in workload.gradients()]
    params = [jnp.zeros_like(g) for g in grads]
    start = jax.tree.map(jnp.copy, optimizer.init(params))
    held = [TrainState(params, grads, start, (), (), jnp.int32(NEVER))]
    rows = np.arange(workload.block, dtype=np.int32)
    chunk = Chunk(Sample(jnp.zeros((workload.block, 1))), rows, 1)

    def train(blocks: int) -> float:
        for _ in range(blocks):
            passage = program.begin(chunk, held[0], "no")
            held[0], _ = passage.advance(held[0], workload.block)
        jax.block_until_ready(held)
        return float(held[0].params[0][0])

    return train


def one_by_one(make: Callable[[Update], Trainer], workload: Update) -> Trainer:
    """As many bare updates as a block has steps."""
    train = make(workload)
    return lambda blocks: train(blocks * workload.block)


def torch_updates(workload: Update, **options: Any) -> Trainer:
    """`step` of the optimizer in torch, with these options."""
    import torch

    rule = RULES[workload.rule].torch
    if rule is None:
        raise ValueError(f"torch has no {workload.rule}.")
    params = []
    for gradient in workload.gradients():
        parameter = torch.zeros(len(gradient), requires_grad=True)
        parameter.grad = torch.from_numpy(gradient)
        params.append(parameter)
    optimizer = rule(torch.optim, params, **options)

    def train(updates: int) -> float:
        for _ in range(updates):
            optimizer.step()
        return float(params[0][0])

    return train


def numpy_copies(workload: Update) -> Trainer:
    """NumPy copies half of the bytes onto another half."""
    pairs = [(np.ones(size, "float32"), np.zeros(size, "float32")) for size in _halves(workload)]

    def train(updates: int) -> None:
        for _ in range(updates):
            for source, target in pairs:
                np.copyto(target, source)

    return train


def jax_copies(workload: Update) -> Trainer:
    """JAX copies half of the bytes onto another half, a donated one."""
    import jax
    import jax.numpy as jnp

    sources = [jnp.ones(size) for size in _halves(workload)]
    held = [[jnp.zeros_like(source) for source in sources]]
    compiled = jax.jit(
        lambda targets, sources: [jnp.copy(source) for source in sources],
        donate_argnums=0,
        keep_unused=True,
    )

    def train(updates: int) -> None:
        for _ in range(updates):
            held[0] = compiled(held[0], sources)
        jax.block_until_ready(held)

    return train


def _halves(workload: Update) -> Sequence[int]:
    words = RULES[workload.rule].words
    return [workload.numbers // workload.arrays * words // 2] * workload.arrays


torch_fused = partial(torch_updates, fused=True)

# The environment of talweg without loops of its own.
LEFT_TO_XLA = {"TALWEG_FUSED_UPDATES": "0"}

PEERS: dict[str, Peer] = {
    "update-talweg": Peer("talweg", talweg_updates, ("talweg",)),
    "update-xla": Peer("talweg", talweg_updates, ("talweg",), environment=LEFT_TO_XLA),
    "update-optax": Peer("optax", optax_updates, ("optax", "jax")),
    "update-torch": Peer("PyTorch, fused", torch_fused, ("torch",)),
    "update-foreach": Peer("PyTorch, foreach", partial(torch_updates, foreach=True), ("torch",)),
    "update-numpy": Peer("NumPy's copy of the same bytes", numpy_copies),
    "update-jax": Peer("JAX's copy of the same bytes", jax_copies, ("jax",)),
    "block-talweg": Peer("talweg", talweg_blocks, ("talweg",)),
    "block-bare": Peer("ten bare updates", partial(one_by_one, talweg_updates), ("talweg",)),
    "block-torch": Peer("PyTorch, fused", partial(one_by_one, torch_fused), ("torch",)),
}
WORKLOADS: dict[str, Update] = {
    **{f"{rule}-{n}": Update(rule, n) for rule in RULES for n in (1, 500)},
    **{f"adam-{n}-block": Update("adam", n, block=10) for n in (1, 500)},
}
