"""Where vocabularies come from: files that the user names, and counts."""

import os
from collections import Counter
from typing import Any

from talweg.core import errors


def from_file(owner: str, path: Any) -> list[str]:
    """The lines of a local text file.

    Raises:
        ValueError: an address, or no existing file.
    """
    text = os.fspath(path)
    if "://" in text or not os.path.isfile(text):
        raise errors.invalid(
            owner, "vocabulary", "a list, or the path of an existing local file", path,
            "Download a file first, then pass its path.",
        )  # fmt: skip
    with open(text, encoding="utf-8", newline="") as file:
        lines = [line.removesuffix("\r") for line in file.read().split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def refuse_path(owner: str, vocabulary: Any) -> None:
    """A config must not make the program read files: it may hold tokens only.

    Raises:
        ValueError: the vocabulary is a path or an address.
    """
    if isinstance(vocabulary, (str, bytes, os.PathLike)):
        raise errors.invalid(
            owner, "the config's vocabulary", "a list of tokens", vocabulary,
            "A file's config may not name other files. Pass the path in your own code: "
            f"{owner}(vocabulary=path).",
        )  # fmt: skip


def counted(counts: Counter[Any]) -> list[Any]:
    """Tokens by falling count; equal counts by falling token, text by its UTF-8 bytes."""

    def order(item: tuple[Any, int]) -> tuple[int, Any]:
        token, count = item
        return count, token.encode() if isinstance(token, str) else token

    return [token for token, _ in sorted(counts.items(), key=order, reverse=True)]
