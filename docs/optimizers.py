"""Writes docs/optimizers.md and draws docs/optimizers/: every exported optimizer.

python docs/optimizers.py           the pictures and the whole page
python docs/optimizers.py --text    the text only, by the docstrings; the table stays

The table is measured: ten thousand steps on every landscape of talweg.testing.landscapes.
"""

import inspect
import runpy
import sys
from functools import partial
from pathlib import Path
from typing import Any

import gallery
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from talweg import optimizers
from talweg.core.compilation import use_persistent_cache
from talweg.optimizers import EMA, SAM, SGD, SWA, Adam, GradientNoise, Optimizer, Phases, Steps
from talweg.search.plot import COLOURS
from talweg.testing.landscapes import (
    LANDSCAPES,
    STEPS,
    Landscape,
    begin,
    descend,
    path,
    rosenbrock,
)

HERE = Path(__file__).parent
LISTED = runpy.run_path(str(HERE.parent / "tests" / "optimizers" / "listed_rates.py"))["LISTED"]
# Where no rate is listed, the best of these factors of the listed rate counts.
FACTORS = np.geomspace(1e-3, 1e3, 25)
# What shows its purpose on a picture's few steps only with other options than those listed.
PICTURED = {
    "SAM": lambda: SAM(Adam(0.04), rho=0.05),
    "SWA": lambda: SWA(Adam(0.05), start=50),
    "Phases": lambda: Phases([(Adam(0.1), Steps(20)), (SGD(0.005, momentum=0.9), None)]),
    "EMA": lambda: EMA(Adam(0.1), momentum=0.9),
    "GradientNoise": lambda: GradientNoise(Adam(0.02), eta=0.3),
}
# What has a rate that nobody tunes.
DRAWN_AS_LISTED = {"LBFGS"}
PICTURED_STEPS = 150
# Solved is what is within the tolerance for so many steps at the end.
SETTLED = 1000
TABLE_BEGINS, TABLE_ENDS = "<!-- measured -->\n", "<!-- end of what is measured -->\n"


# Those that treat tensors differently are drawn with a tensor for each component.
BY_TENSOR = {"ByPath", "LayerwiseDecay", "MultiOptimizer"}
INTRODUCTION = """\
# Optimizers

All are in `talweg.optimizers`, by the names below or as text (`compile(optimizer="adam")`). Each
takes, beside its own arguments, `weight_decay`, `clipnorm`, `clipvalue`, `global_clipnorm`,
`use_ema`, `gradient_accumulation_steps`; every number among them can be a
[schedule](schedules.md), and can be set while a model trains.

```python
from talweg.optimizers import SGD, Adam, ByPath, Cautious, Lookahead, Phases

optimizer = Lookahead(Cautious(Adam(1e-3)))  # optimizers around optimizers
optimizer = ByPath({"encoder/*": 0.1, "head/*": SGD(0.01, momentum=0.9)}, default=Adam(1e-3))
optimizer = Phases([(Adam(1e-3), 10), (SGD(1e-2, momentum=0.9), None)])  # ten epochs, then
```

Written by `python docs/optimizers.py` from the docstrings and a run.
"""
READING = f"""\
## Test problems

How many steps it took to a point within the tolerance (a largest error of 0.03, of 0.1 on the
noisy bowl, a loss of 0.03 for xor), where it is there for the last {SETTLED:,} of {STEPS:,} steps
as well; in italics the error at the end where it is not.

The first four problems at the one rate that is listed for each optimizer: every one must pass
them, and the tests see to it. The others at the best of {len(FACTORS)} rates from a thousandth to
a thousand times the listed one. Small problems show that a method works and what it is made for;
they do not say which one trains your model best. For that there is `talweg.compare`, at the best
rate of each.
"""
AROUND = """\
## Beside the optimizers
"""


Limits = tuple[float, float, float, float]


def bowl(params: Any, step: Any = 0) -> Any:
    """`x² / 2 + 10 y²`, twenty times steeper one way."""
    x, y = jnp.concatenate([jnp.ravel(p) for p in params])
    return x**2 / 2 + 10 * y**2


def drawn(by_tensor: bool) -> dict[str, tuple[Landscape, tuple[float, float], Limits]]:
    """The landscapes of a picture, their solutions, and what part of them it shows."""

    def shown(loss: Any, x: float, y: float) -> Landscape:
        start = [np.float32([x]), np.float32([y])] if by_tensor else [np.float32([x, y])]
        return Landscape(loss, start, lambda params: loss(params, 0))

    valley = shown(partial(rosenbrock, steepness=5.0), -1.5, 2.0)
    return {
        "valley": (valley, (1, 1), (-2.0, 2.0, -1.0, 3.0)),
        "bowl": (shown(bowl, -3.5, 0.9), (0, 0), (-4.0, 1.5, -1.5, 1.5)),
    }


# -- the table -----------------------------------------------------------------------


def measured(name: str) -> list[str]:
    """The row of an optimizer."""
    optimizer = LISTED[name]()

    @jax.jit
    @jax.vmap
    def run(factor: Any) -> Any:
        ends = [
            descend(optimizer, landscape, begin(optimizer, landscape, factor), STEPS)
            for landscape in LANDSCAPES.values()
        ]
        return [(end.arrived, end.outside, end.error) for end in ends]

    listed = int(np.argmin(np.abs(FACTORS - 1)))
    cells: list[str] = []
    for landscape, found in zip(LANDSCAPES.values(), run(np.float32(FACTORS)), strict=True):
        arrived, outside, error = (np.asarray(each) for each in found)
        error = np.nan_to_num(error, nan=np.inf)
        arrived = np.where(outside <= STEPS - SETTLED, arrived, STEPS)
        best = listed if landscape.required else int(np.lexsort((error, arrived))[0])
        if arrived[best] < STEPS:
            cells.append(f"{arrived[best]:,}")
        else:
            cells.append(f"*{error[best]:.2g}*" if np.isfinite(error[best]) else "*diverged*")
    return [f"`{optimizer!r}`", *cells]


def table() -> str:
    """The results of all optimizers on all landscapes; takes some minutes."""
    head = ["", *LANDSCAPES]
    lines = [head, ["---", *["---:"] * len(LANDSCAPES)]]
    for name in LISTED:
        lines.append(measured(name))
        print(name, *lines[-1][1:], flush=True)
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


# -- the pictures --------------------------------------------------------------------


def draw(name: str) -> Figure:
    """The paths of an optimizer on the two landscapes, each at its best rate."""
    figure, row = gallery.small_figure(4.8, 2.3, panels=2)
    for axes, (title, (landscape, solution, limits)) in zip(
        row, drawn(name in BY_TENSOR).items(), strict=True
    ):
        optimizer = PICTURED.get(name, LISTED[name])()
        factors = np.float32(np.geomspace(0.01, 100, 41) if name not in DRAWN_AS_LISTED else [1])
        walk = jax.jit(jax.vmap(lambda f: path(optimizer, landscape, PICTURED_STEPS, f)))  # noqa: B023
        paths = np.concatenate(
            [np.reshape(p, (len(factors), PICTURED_STEPS + 1, -1)) for p in walk(factors)], axis=2
        )
        best = shortest(paths, solution, limits)
        contours(axes, landscape, limits)
        x, y = paths[best].T
        axes.plot(x, y, color=COLOURS[0], linewidth=1.2, marker=".", markersize=3)
        axes.plot(*paths[best][0], "o", color="white", markeredgecolor=COLOURS[0], markersize=5)
        axes.plot(*solution, "*", color=COLOURS[1], markersize=9, markeredgewidth=0)
        axes.set_title(f"{title}, rate {optimizer.rate * factors[best]:.2g}", fontsize=8)
    return figure


def shortest(paths: np.ndarray, solution: tuple[float, float], limits: Limits) -> int:
    """The path that arrives in few steps and on a short way, if it can be within the picture."""
    points = np.float64(paths)
    away = np.nan_to_num(np.linalg.norm(points - solution, axis=2), nan=np.inf)
    outside = away > 0.1
    steps = np.where(outside.any(1), PICTURED_STEPS + 1 - np.argmax(outside[:, ::-1], axis=1), 0)
    length = np.sum(np.linalg.norm(np.diff(points, axis=1), axis=2), axis=1)
    low, high = np.reshape(limits, (2, 2)).T
    edge = 0.1 * (high - low)
    seen = np.all((points >= low - edge) & (points <= high + edge), axis=(1, 2))
    arrived = ~outside[:, -1]
    if (arrived & seen).any():
        return int(np.argmin(np.where(arrived & seen, steps * length, np.inf)))
    return int(np.argmin(np.where(seen, away[:, -1], np.inf)))


def contours(axes: Axes, landscape: Landscape, limits: Limits) -> None:
    """Lines of equal loss, in grey and without numbers."""
    left, right, low, high = limits
    x, y = np.meshgrid(np.linspace(left, right, 120), np.linspace(low, high, 120))
    loss = jax.vmap(lambda p: landscape.loss([p], 0))(
        np.float32(np.stack([x.ravel(), y.ravel()], 1))
    )
    levels = np.geomspace(0.1, float(np.max(loss)), 9)
    axes.contour(x, y, np.reshape(loss, x.shape), levels, colors="#d5d5d5", linewidths=0.8)
    axes.set(xlim=(left, right), ylim=(low, high), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def save(figure: Figure, target: Path) -> None:
    """With few colours, at half of the size."""
    figure.savefig(target)
    few = Image.open(target).convert("RGB").quantize(64, Image.Quantize.MAXCOVERAGE)
    few.save(target, optimize=True)


# -- the page ------------------------------------------------------------------------


def defaults(cls: type[Optimizer]) -> str:
    """The call of a class with its own arguments, and the shared ones that it changes."""
    shared = {name: declared.default for name, declared in Optimizer.hypers.items()}
    shown: list[str] = []
    for name, parameter in inspect.signature(cls).parameters.items():
        own = name == "learning_rate" or name not in shared or parameter.default != shared[name]
        if parameter.kind is parameter.VAR_KEYWORD or name == "name" or not own:
            continue
        given = "" if parameter.default is parameter.empty else f"={parameter.default!r}"
        shown.append(f"{name}{given}")
    return f"{cls.__name__}({', '.join(shown)})"


def page(measurements: str) -> str:
    """The text of docs/optimizers.md around a table."""
    problems = "".join(f"- **{name}**: {each.about}\n" for name, each in LANDSCAPES.items())
    sections = [INTRODUCTION, READING, problems, TABLE_BEGINS + measurements + TABLE_ENDS]
    sections.append(
        "## Gallery\n\n"
        f"The first {PICTURED_STEPS} steps down a bent valley and a bowl twenty times steeper one "
        "way than the other, at\na rate that comes down in few steps and on a short way; a dot for "
        "each step, the star is the minimum.\n"
    )
    classes = gallery.exported(optimizers, Optimizer)
    for name, cls in classes.items():
        text = gallery.parts(cls)
        sections.append(
            f"### {name}\n\n"
            f"{text['line']}\n\n"
            f"![The path of {name}](optimizers/{name}.png)\n\n"
            f"`{defaults(cls)}`\n\n"
            f"**When to use it:** {text['When to use it']}\n\n"
            f"Source: {text['Source']}\n"
        )
    others = [name for name in optimizers.__all__ if name not in classes]
    lines = "".join(f"- `{n}`: {gallery.first_line(getattr(optimizers, n))}\n" for n in others)
    return "\n".join([*sections, AROUND, lines])


def table_of(text: str) -> str:
    """The table of a written page."""
    return text.partition(TABLE_BEGINS)[2].partition(TABLE_ENDS)[0]


def main(arguments: list[str]) -> None:
    """Write the page, and unless it is for the text only, measure and draw."""
    written = HERE / "optimizers.md"
    if "--text" in arguments:
        measurements = table_of(written.read_text())
    else:
        use_persistent_cache()
        folder = HERE / "optimizers"
        folder.mkdir(exist_ok=True)
        for name in LISTED:
            save(draw(name), folder / f"{name}.png")
        measurements = table()
    written.write_text(page(measurements))
    print(f"{len(LISTED)} optimizers")


if __name__ == "__main__":
    main(sys.argv[1:])
