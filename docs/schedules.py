"""Draws docs/schedules/ and writes docs/schedules.md: every exported schedule, by its docstring.

python docs/schedules.py
"""

from pathlib import Path

import gallery
import jax.numpy as jnp
from matplotlib.figure import Figure

from talweg import optimizers
from talweg.optimizers.schedules import CosineDecay, LearningRateSchedule, Linear
from talweg.search.plot import COLOURS

HERE = Path(__file__).parent
STEPS = 1000
# The arguments of each picture, as they are written under it.
EXAMPLES = {
    "ExponentialDecay": "0.1, decay_steps=200, decay_rate=0.5",
    "InverseTimeDecay": "0.1, decay_steps=200, decay_rate=1.0",
    "PiecewiseConstantDecay": "[200, 600], [0.1, 0.05, 0.01]",
    "PolynomialDecay": "0.1, decay_steps=800, end_learning_rate=0.0, power=2.0",
    "CosineDecay": "0.0, decay_steps=800, warmup_target=0.1, warmup_steps=100",
    "CosineDecayRestarts": "0.1, first_decay_steps=143, t_mul=2.0, m_mul=0.8",
    "Linear": "0.1, 0.0, transition_steps=800",
    "StepDecay": "0.1, step_size=250, gamma=0.5",
    "MultiStepDecay": "0.1, [500, 750], gamma=0.3",
    "OneCycle": "0.1, total_steps=1000",
    "Cyclic": '0.01, 0.1, step_size_up=100, mode="triangular2"',
    "WarmupStableDecay": "0.1, warmup_steps=80, stable_steps=670, decay_steps=200",
    "REX": "0.1, decay_steps=900",
    "Noam": "model_size=512, warmup_steps=200",
    "WarmRestarts": "Linear(0.1, 0.0, 143), period=143, m_mul=0.7",
    "Join": "[Linear(0.0, 0.1, 100), 0.1, CosineDecay(0.1, 500)], [100, 400]",
    "Product": "[Linear(0.0, 1.0, 300), CosineDecay(0.1, 1000)]",
}
INTRODUCTION = """\
# Schedules

A schedule is a pure function of the step: `schedule(step)` is the value at that step, however a
training came there, and `schedule(jnp.arange(n))` is the curve. Every hyperparameter that is a
number takes one. All are in `talweg.optimizers.schedules`.

```python
from talweg.optimizers import SGD
from talweg.optimizers.schedules import CosineDecay, Linear, OneCycle, join

warmup = join([Linear(0.0, 0.1, 500), CosineDecay(0.1, 9500)], [500])  # one after the other
halved = 0.5 * warmup  # schedules and numbers multiply
momentum = OneCycle(0.85, 10_000, initial_value=0.95, end_value=0.95)  # downwards
optimizer = SGD(OneCycle(0.1, 10_000), momentum=momentum)
```

Written by `python docs/schedules.py` from the docstrings.
"""


def exported() -> dict[str, type[LearningRateSchedule]]:
    """Every exported schedule by name; each must have an example."""
    classes = gallery.exported(optimizers.schedules, LearningRateSchedule)
    assert set(classes) == set(EXAMPLES), f"examples: {set(classes) ^ set(EXAMPLES)}"
    return classes


def example(name: str) -> LearningRateSchedule:
    """The schedule that is drawn."""
    names = {"Linear": Linear, "CosineDecay": CosineDecay}
    return eval(f"{name}({EXAMPLES[name]})", {**names, **exported()})


def page() -> str:
    """The text of docs/schedules.md."""
    sections = [INTRODUCTION]
    for name, cls in exported().items():
        text = gallery.parts(cls)
        sections.append(
            f"## {name}\n\n"
            f"{text['line']}\n\n"
            f"![{name} over {STEPS} steps](schedules/{name}.png)\n\n"
            f"`{name}({EXAMPLES[name]})`\n\n"
            f"**When to use it:** {text['When to use it']}\n\n"
            f"Source: {text['Source']}\n"
        )
    return "\n".join(sections)


def draw(name: str) -> Figure:
    """The picture of a schedule, 4 x 2 inches."""
    figure, (axes,) = gallery.small_figure(4, 2)
    axes.grid(True, color="#e6e6e6", linewidth=0.8)
    steps = jnp.arange(STEPS)
    axes.plot(steps, example(name)(steps), color=COLOURS[0], linewidth=1.6, clip_on=False)
    axes.set_xlim(0, STEPS)
    axes.set_ylim(bottom=0)
    axes.margins(y=0.08)
    axes.locator_params(axis="y", nbins=4)
    axes.set_xlabel("step", fontsize=8)
    return figure


def main() -> None:
    """Draw every picture and write the page."""
    folder = HERE / "schedules"
    folder.mkdir(exist_ok=True)
    for name in exported():
        draw(name).savefig(folder / f"{name}.png")
    (HERE / "schedules.md").write_text(page())
    print(f"{len(EXAMPLES)} schedules")


if __name__ == "__main__":
    main()
