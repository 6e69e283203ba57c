"""The `.keras` file: a zip of metadata.json, config.json, assets and model.weights.h5.

The same members may lie unpacked in a folder, which cannot be replaced in one step:
metadata.json, which is replaced first, tells the checksums of the members, and those of the
members that were there before. Opening either trusts neither names nor sizes.
"""

import contextlib
import json
import os
import stat
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from talweg.core.files import replacing_all
from talweg.saving.damage import DamagedFile
from talweg.saving.records import LARGEST, parse

METADATA, CONFIG, WEIGHTS, ASSETS = "metadata.json", "config.json", "model.weights.h5", "assets/"
# How much bigger than its packed form, and how big, an asset or the weights may be.
_LARGEST_RATIO = 100
_LARGEST_ASSET = 256 << 20
_LIMITS = {METADATA: LARGEST, CONFIG: LARGEST, WEIGHTS: None}
_MOST_FILES = 100_000
CHECKSUMS, _BEFORE = "crc32", "crc32_before"
_PIECE = 1 << 20


class _Opened:
    """What a zip and a folder of these members have in common."""

    name: str
    members: Mapping[str, Any]

    def read(self, path: str) -> bytes:
        raise NotImplementedError

    def assets(self, path: str) -> dict[str, bytes]:
        """The files that a layer left below its path, by their names."""
        prefix = f"{ASSETS}{path}/" if path else ASSETS
        found = {name.removeprefix(prefix) for name in self.members if name.startswith(prefix)}
        return {name: self.read(prefix + name) for name in found if name and "/" not in name}

    def _damaged(self, what: str) -> DamagedFile:
        return DamagedFile(f"{self.name}: {what}. The file was not used.")

    def _require(self) -> None:
        for wanted in (METADATA, CONFIG, WEIGHTS):
            if wanted not in self.members:
                raise self._damaged(f"it has no {wanted}")


class Archive(_Opened):
    """The members of a `.keras` file, looked at and not yet read.

    Args:
        file: the open file.
        name: what messages call it.

    Raises:
        DamagedFile: no zip; members that should not be there, twice there, outside, encrypted,
            links, over one another, or much bigger than they pretend.
    """

    def __init__(self, file: BinaryIO, name: str):
        self.name = name
        try:
            self._zip = zipfile.ZipFile(file)
            members = self._zip.infolist()
        except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
            raise DamagedFile(f"{name} is no .keras file, or a damaged one ({error}).") from error
        end = 0
        self.members: dict[str, zipfile.ZipInfo] = {}
        for member in sorted(members, key=lambda one: one.header_offset):
            self._check(member)
            if member.filename in self.members:
                raise self._damaged(f"{member.filename!r} is there twice")
            if member.header_offset < end:
                raise self._damaged(f"{member.filename!r} lies over another member")
            end = member.header_offset + 30 + len(member.orig_filename) + member.compress_size
            self.members[member.filename] = member
        self._require()

    def _check(self, member: zipfile.ZipInfo) -> None:
        path = member.filename
        known = path in (METADATA, CONFIG, WEIGHTS) or path.startswith(ASSETS)
        parts = PurePosixPath(path).parts
        if not known or ".." in parts or "\\" in path or "\0" in member.orig_filename:
            raise self._damaged(f"{path!r} is no member of a .keras file")
        if member.flag_bits & 0x1:
            raise self._damaged(f"{path!r} is encrypted")
        if (member.external_attr >> 16) & 0o170000 == 0o120000:
            raise self._damaged(f"{path!r} is a link")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise self._damaged(f"{path!r} is packed in a way that is not unpacked here")
        grows = member.file_size > _LARGEST_RATIO * max(member.compress_size, 1) + (1 << 20)
        limit = _LIMITS.get(path, _LARGEST_ASSET)
        if grows or (limit is not None and member.file_size > limit):
            raise self._damaged(f"{path!r} would be {member.file_size} bytes")

    def read(self, path: str) -> bytes:
        """A member, whose checksum is found to be right.

        Raises:
            DamagedFile: the member is damaged.
        """
        member = self.members[path]
        try:
            with self._zip.open(member) as file:
                content = file.read(member.file_size + 1)
        except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError) as error:
            raise self._damaged(f"{path!r} is damaged ({error})") from error
        except Exception as error:  # zlib.error has no public base but Exception
            raise self._damaged(f"{path!r} cannot be unpacked ({error})") from error
        if len(content) != member.file_size:
            raise self._damaged(f"{path!r} is not as long as it says")
        return content


class Folder(_Opened):
    """The members of an unpacked `.keras` file, looked at and not yet read.

    Other files in the folder, such as a README.md, are left alone.

    Args:
        folder: where they lie.

    Raises:
        DamagedFile: one is missing, a link, no file, or too large; checksums that are none.
    """

    def __init__(self, folder: Path):
        self.name, self._folder = folder.name, folder
        self.members: dict[str, int] = {}
        stack = [
            entry.path for entry in os.scandir(folder) if entry.name in (*_LIMITS, ASSETS[:-1])
        ]
        while stack:
            path = stack.pop()
            name = Path(path).relative_to(folder).as_posix()
            found = os.lstat(path)
            if stat.S_ISDIR(found.st_mode) and name not in _LIMITS:
                stack += [entry.path for entry in os.scandir(path)]
            elif stat.S_ISREG(found.st_mode) and name != ASSETS[:-1]:
                self.members[name] = found.st_size
            else:
                raise self._damaged(f"{name!r} is a link, or not what it should be")
            if len(stack) > _MOST_FILES or len(self.members) > _MOST_FILES:
                raise self._damaged("it holds too many files")
        self._require()
        made = parse(self.read(METADATA), f"{METADATA} of {self.name}")
        if CHECKSUMS in made:
            self._check(made[CHECKSUMS], made.get(_BEFORE))

    def _check(self, *told: Any) -> None:
        """Find the members to be those of one time; others are not counted among them."""
        found = {
            name: checksum_of(self._folder / name) for name in self.members if name != METADATA
        }
        for checksums in told:
            if isinstance(checksums, dict) and checksums.items() <= found.items():
                self.members = {name: self.members[name] for name in (METADATA, *checksums)}
                self._require()
                return
        raise self._damaged(
            f"the checksums in {METADATA} are not those of its files: it is damaged, or the "
            "writing of another model was cut short"
        )

    def read(self, path: str) -> bytes:
        """A member.

        Raises:
            DamagedFile: it cannot be read.
        """
        limit = _LIMITS.get(path, _LARGEST_ASSET)
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        try:
            with open(os.open(self._folder / path, flags), "rb") as file:
                size = os.fstat(file.fileno()).st_size
                if limit is not None and size > limit:
                    raise self._damaged(f"{path!r} has {size} bytes")
                content = file.read()
        except OSError as error:
            raise self._damaged(f"{path!r} cannot be read ({error})") from error
        return content


def write(target: Any, members: Mapping[str, bytes | memoryview]) -> None:
    """Write the members, stored, in Keras's order."""
    first = (METADATA, CONFIG)
    assets = sorted(name for name in members if name.startswith(ASSETS))
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name in (*first, *assets, WEIGHTS):
            with archive.open(name, "w", force_zip64=len(members[name]) > 1 << 31) as member:
                member.write(members[name])


def write_folder(folder: Path, members: Mapping[str, bytes | memoryview]) -> None:
    """Write the members as files; those that are there are replaced when all are written."""
    made = json.loads(bytes(members[METADATA]))
    made[CHECKSUMS] = {name: zlib.crc32(members[name]) for name in members if name != METADATA}
    with contextlib.suppress(DamagedFile, FileNotFoundError):
        before = Folder(folder)
        made[_BEFORE] = {n: checksum_of(folder / n) for n in before.members if n != METADATA}
    contents = {**members, METADATA: json.dumps(made).encode()}
    names = (METADATA, *(name for name in members if name != METADATA))
    for parent in {(folder / name).parent for name in names}:
        parent.mkdir(parents=True, exist_ok=True)
    with replacing_all([folder / name for name in names]) as temporaries:
        for name, temporary in zip(names, temporaries, strict=True):
            temporary.write_bytes(contents[name])


def checksum_of(path: Path) -> int:
    """The CRC-32 of a file."""
    found = 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            found = zlib.crc32(piece, found)
    return found
