"""What the generated pages share: classes by their docstrings, and the look of a picture."""

import inspect
from types import ModuleType

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

LABELS = ("When to use it", "Source")


def exported(package: ModuleType, base: type) -> dict[str, type]:
    """The subclasses of `base` that a package exports, by name."""
    found = {name: getattr(package, name) for name in package.__all__}
    return {
        name: cls
        for name, cls in found.items()
        if inspect.isclass(cls) and issubclass(cls, base) and cls is not base
    }


def first_line(documented: object) -> str:
    """The first paragraph of a docstring, as one line."""
    return " ".join((inspect.getdoc(documented) or "").split("\n\n")[0].split())


def parts(cls: type) -> dict[str, str]:
    """The first line of a docstring, when to use the class, and its source."""
    paragraphs = [" ".join(p.split()) for p in (inspect.getdoc(cls) or "").split("\n\n")]
    found = {"line": paragraphs[0]}
    for paragraph in paragraphs:
        for label in LABELS:
            if paragraph.startswith(f"{label}: "):
                found[label] = paragraph.removeprefix(f"{label}: ")
    missing = [label for label in LABELS if label not in found]
    assert not missing, f"{cls.__name__}: the docstring lacks a paragraph of {missing}"
    return found


def small_figure(width: float, height: float, panels: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure in inches, with panels side by side."""
    figure = Figure(figsize=(width, height), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    row = list(figure.subplots(1, panels, squeeze=False)[0])
    for axes in row:
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_axisbelow(True)
        axes.tick_params(labelsize=8)
    return figure, row
