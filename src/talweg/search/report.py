"""The report of a comparison: one HTML file with everything in it.

What a report is made of is at hand here, too: `plot_comparison`, `advice`, `table_text`.
"""

import base64
import hashlib
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from talweg.core import errors
from talweg.core.files import replacing
from talweg.search.leaderboard import COLUMNS, advice, printable, rows_of, table_text
from talweg.search.plot import plot_comparison

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["advice", "plot_comparison", "table_text", "write_html"]


def write_html(
    path: str | Path,
    frame: "pd.DataFrame",
    figures: "Mapping[str, Figure]",
    title: str,
    advice: str,
    notes: Sequence[str] = (),
    setup: Mapping[str, Any] | None = None,
) -> Path:
    """Write the comparison as one HTML file that needs nothing from outside.

    The pictures are in it, its content security policy forbids scripts and every request, and
    it follows the reader's light or dark setting. The file appears whole or not at all.

    Args:
        path: where to write; an existing file is replaced.
        frame: a row per configuration, as `compare` makes it.
        figures: caption to matplotlib figure, in the order of the page.
        title, advice: the heading and the sentences below it.
        notes: sentences about the data, shown as a list.
        setup: what was compared: name to value.

    Returns:
        The path that was written, absolute.

    Raises:
        FileNotFoundError: the folder does not exist.
    """
    path = Path(path).expanduser().absolute()
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"write_html: path must lie in an existing folder, got {str(path)!r}. "
            f"Make it first: mkdir -p {str(path.parent)!r}"
        )
    if path.is_dir():
        raise IsADirectoryError(f"write_html: path must be a file, got the folder {str(path)!r}.")
    page = _page(frame, figures, title, advice, notes, setup or {})
    with replacing(path) as temporary:
        temporary.write_bytes(page.encode("utf-8", "replace"))
    return path


_STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1e; --muted: #62626a; --line: #dcdce2;
  --paper: #ffffff; --soft: #eef5fb; --accent: #0072b2; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8ec; --muted: #a2a2ac;
  --line: #3a3a42; --paper: #17171a; --soft: #1b2a36; --accent: #6cb8ea; } }
body { margin: 0 auto; max-width: 76rem; padding: 2rem 1.25rem 4rem; color: var(--ink);
  background: var(--paper); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem; }
.advice { background: var(--soft); border-left: 4px solid var(--accent);
  padding: .8rem 1rem; margin: 0; overflow-wrap: anywhere; }
figure { margin: 1.5rem 0 0; } figcaption { color: var(--muted); font-size: .9rem; }
img { display: block; width: 100%; height: auto; background: #ffffff; border-radius: 6px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: left;
  white-space: nowrap; }
th { color: var(--muted); font-weight: 600; }
.right { text-align: right; } .best td { font-weight: 700; color: var(--accent); }
.worse td { color: var(--muted); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.2rem; margin: 0; }
dt { color: var(--muted); } dd { margin: 0; overflow-wrap: anywhere; }
footer { margin-top: 2.5rem; color: var(--muted); font-size: .85rem; }
@media print { :root { --ink: #000; --muted: #444; --paper: #fff; --line: #bbb;
  --soft: #f3f3f3; --accent: #004c78; } body { padding: 0; font-size: 11px; max-width: none; }
  figure, tr { break-inside: avoid; } thead { display: table-header-group; }
  .wide { overflow: visible; } }
"""


def _page(
    frame: "pd.DataFrame",
    figures: "Mapping[str, Figure]",
    title: str,
    advice: str,
    notes: Sequence[str],
    setup: Mapping[str, Any],
) -> str:
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )
    pictures = "\n".join(
        f'<figure><img src="{_picture(figure)}" alt="{_escaped(caption)}">'
        f"<figcaption>{_escaped(caption)}</figcaption></figure>"
        for caption, figure in figures.items()
    )
    facts = "".join(
        f"<dt>{_escaped(name)}</dt><dd>{_escaped(value)}</dd>" for name, value in setup.items()
    )
    remarks = "".join(f"<li>{_escaped(note)}</li>" for note in notes)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{_escaped(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{_escaped(title)}</h1>
<p class="advice">{_escaped(advice)}</p>
{pictures}
<h2>Configurations</h2>
{_html_table(frame)}
{f"<h2>Data</h2><ul>{remarks}</ul>" if remarks else ""}
{f"<h2>Set-up</h2><dl>{facts}</dl>" if facts else ""}
<footer>Scores are means over folds and seeds ± their standard error. “Tie” means that a
corrected paired t-test (Nadeau &amp; Bengio, 2003; p-values adjusted by Benjamini and
Hochberg’s method) cannot tell the
configuration from the best; that is no proof of being equal. Made by talweg.</footer>
</body>
</html>
"""


def _html_table(frame: "pd.DataFrame") -> str:
    head = "".join(
        f'<th scope="col" class="{justify}">{heading}</th>' for heading, justify in COLUMNS.values()
    )
    body: list[str] = []
    for row in rows_of(frame):
        kind = "best" if row["verdict"] == "best" else "tie" if row["tied"] else "worse"
        cells = "".join(
            f'<td class="{justify}">{_escaped(row[key])}</td>'
            for key, (_, justify) in COLUMNS.items()
        )
        body.append(f'<tr class="{kind}">{cells}</tr>')
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _escaped(text: Any) -> str:
    return html.escape(printable(text), quote=True)


def _picture(figure: "Figure") -> str:
    """The figure as an SVG in a data address: an image of its own, whose style and ids stay in."""
    errors.extra("matplotlib.backends.backend_svg", "data", "the report of a comparison")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()
