"""Draws docs/comparison.png: the demo of the README, as a picture.

python docs/picture.py
"""

from pathlib import Path

import talweg
from talweg.search.table import read

HERE = Path(__file__).parent


def main() -> None:
    """Run the comparison of `make demo` and save its picture."""
    table = read(HERE.parent / "examples" / "data" / "adult.csv.gz", "income")
    rows = talweg.core.random.host_generator(0, 6000).permutation(len(table))[:6000]
    features = table.features.iloc[rows].reset_index(drop=True)
    width = table.transformer().fit_transform(features).shape[1]
    result = talweg.compare(
        lambda: table.build(width),
        features,
        table.target[rows],
        loss=table.loss,
        metrics=table.metrics,
        transform=table.transformer,
        epochs=10,
    )
    result.plot().savefig(HERE / "comparison.png", dpi=100)
    print(result.advice())


if __name__ == "__main__":
    main()
