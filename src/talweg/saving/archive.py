"""The `.keras` file: a zip of metadata.json, config.json, assets and model.weights.h5.

Opening one trusts neither its names nor its sizes.
"""

import zipfile
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from talweg.saving.damage import DamagedFile
from talweg.saving.records import LARGEST

METADATA, CONFIG, WEIGHTS, ASSETS = "metadata.json", "config.json", "model.weights.h5", "assets/"
# How much bigger than its packed form, and how big, an asset or the weights may be.
_LARGEST_RATIO = 100
_LARGEST_ASSET = 256 << 20


class Archive:
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
        for wanted in (METADATA, CONFIG, WEIGHTS):
            if wanted not in self.members:
                raise self._damaged(f"it has no {wanted}")

    def _damaged(self, what: str) -> DamagedFile:
        return DamagedFile(f"{self.name}: {what}. The file was not used.")

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
        limit = {METADATA: LARGEST, CONFIG: LARGEST, WEIGHTS: None}.get(path, _LARGEST_ASSET)
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

    def assets(self, path: str) -> dict[str, bytes]:
        """The files that a layer left below its path, by their names."""
        prefix = f"{ASSETS}{path}/" if path else ASSETS
        found = {name.removeprefix(prefix) for name in self.members if name.startswith(prefix)}
        return {name: self.read(prefix + name) for name in found if name and "/" not in name}


def write(target: Any, members: Mapping[str, bytes | memoryview]) -> None:
    """Write the members, stored, in Keras's order."""
    first = (METADATA, CONFIG)
    assets = sorted(name for name in members if name.startswith(ASSETS))
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name in (*first, *assets, WEIGHTS):
            with archive.open(name, "w", force_zip64=len(members[name]) > 1 << 31) as member:
                member.write(members[name])
