"""Files from the network into a cache, checked before they are used."""

import hashlib
import os
import shutil
import stat
import tarfile
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from typing import Any

from talweg.core import errors
from talweg.core.files import replacing


def get_file(
    fname: Any = None,
    origin: str | None = None,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: Any = "auto",
    cache_dir: Any = None,
    force_download: bool = False,
) -> str:
    """The path of a file in the cache, downloaded where it is not there.

    A download is written to a temporary name, compared with its hash, and only then
    renamed. An archive is unpacked beside its place and renamed too; members that would
    lie outside, links and devices are refused.

    Args:
        fname: the file's name in the cache; the last part of the address where None.
        origin: the address; https, http or file.
        untar: the same as `extract` for a tar file.
        md5_hash: an MD5 `file_hash`.
        file_hash: SHA-256 or MD5 in hexadecimal digits.
        cache_subdir: the folder inside the cache.
        hash_algorithm: "sha256", "md5" or "auto", by the number of digits.
        extract: whether the file is unpacked; the folder is then returned.
        archive_format: "auto", "tar", "zip", or a list of them.
        cache_dir: the cache; $KERAS_HOME or ~/.keras, which Keras shares.
        force_download: whether a file in the cache is replaced.

    Raises:
        ValueError: the hash differs, the archive is none or unsafe, an argument is wrong.
        ConnectionError: the file is not in the cache and cannot be had.
    """
    if origin is None:
        raise errors.invalid("get_file", "origin", "the address of the file", None)
    parts = urllib.parse.urlsplit(origin)
    if parts.scheme not in ("https", "http", "file"):
        raise errors.invalid("get_file", "origin", "an https, http or file address", origin)
    given = None if fname is None else os.fspath(fname)
    name = given or os.path.basename(parts.path)
    if not name or name in (".", "..") or "/" in name or os.sep in name or "\0" in name:
        raise errors.invalid(
            "get_file", "fname", "a plain file name", name, "Choose folders by cache_dir."
        )
    home = cache_dir or os.environ.get("KERAS_HOME") or os.path.join("~", ".keras")
    folder = os.path.join(os.path.expanduser(os.fspath(home)), cache_subdir)
    os.makedirs(folder, exist_ok=True)
    digest, algorithm = (
        (md5_hash, "md5") if md5_hash and not file_hash else (file_hash, hash_algorithm)
    )
    unpack = extract or untar
    target, unpacked = _places(folder, name, given, unpack)
    fits = os.path.isfile(target) and (digest is None or validated(target, digest, algorithm))
    fresh = force_download or not fits
    if fresh:
        _download(origin, target, digest, algorithm)
    if not unpack:
        return target
    if fresh or not os.path.isdir(unpacked):
        _extract(target, unpacked, "tar" if untar else archive_format)
    return unpacked


def _places(folder: str, name: str, given: str | None, unpack: bool) -> tuple[str, str]:
    """Where the file is kept and where it is unpacked, as in Keras."""
    whole = os.path.join(folder, name)
    if not unpack:
        return whole, ""
    if given and "." in given:
        return whole, os.path.join(folder, f"{name.partition('.')[0]}_extracted")
    return f"{whole}_archive", whole


def validated(path: str, digest: str, algorithm: str = "auto") -> bool:
    """Whether a file has a hash."""
    if algorithm not in ("auto", "md5", "sha256"):
        raise errors.invalid("get_file", "hash_algorithm", "'auto', 'md5' or 'sha256'", algorithm)
    if algorithm == "auto":
        algorithm = "sha256" if len(digest) == 64 else "md5"
    with open(path, "rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest() == digest.lower()


def _download(origin: str, target: str, digest: str | None, algorithm: str) -> None:
    print(f"Downloading data from {origin}")
    with replacing(target) as partial:
        try:
            with (
                open(partial, "wb") as file,
                urllib.request.urlopen(origin, timeout=60) as answer,
            ):
                shutil.copyfileobj(answer, file)
        except (urllib.error.URLError, OSError) as error:
            raise ConnectionError(
                f"{os.path.basename(target)} is not in the cache, and {origin} cannot be read: "
                f"{getattr(error, 'reason', error)}. Download it elsewhere and put it at {target}."
            ) from None
        if digest is not None and not validated(str(partial), digest, algorithm):
            raise errors.invalid(
                "get_file", f"the hash of {origin}", digest, "another hash",
                "The file is damaged or has been changed; it was not kept.",
            )  # fmt: skip


def _extract(archive: str, folder: str, kinds: Any) -> None:
    """Unpack beside `folder`, then put it there."""
    kinds = ("tar", "zip") if kinds == "auto" else (kinds,) if isinstance(kinds, str) else kinds
    readers = {"tar": (tarfile.is_tarfile, _untar), "zip": (zipfile.is_zipfile, _unzip)}
    for kind in kinds or ():
        if kind not in readers:
            raise errors.invalid("get_file", "archive_format", "'auto', 'tar' or 'zip'", kind)
    matching = [readers[kind][1] for kind in kinds or () if readers[kind][0](archive)]
    if not matching:
        raise errors.invalid("get_file", "the file", "a tar or zip archive", archive)
    beside = tempfile.mkdtemp(dir=os.path.dirname(folder), prefix=".unpack-")
    try:
        matching[0](archive, beside)
        if os.path.isdir(folder):
            shutil.rmtree(folder)
        os.replace(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _untar(path: str, folder: str) -> None:
    with tarfile.open(path) as archive:
        for member in archive.getmembers():
            _check_name(member.name, folder)
            if not (member.isfile() or member.isdir()):
                raise errors.invalid("get_file", "each member", "a file or a folder", member.name)
        archive.extractall(folder, filter="data")


def _unzip(path: str, folder: str) -> None:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            _check_name(member.filename, folder)
            if stat.S_ISLNK(member.external_attr >> 16):
                raise errors.invalid("get_file", "each member", "no link", member.filename)
        archive.extractall(folder)


def _check_name(name: str, folder: str) -> None:
    root = os.path.realpath(folder)
    place = os.path.realpath(os.path.join(root, name.replace("\\", "/")))
    if name.startswith(("/", "\\")) or ":" in name[:2] or os.path.commonpath([root, place]) != root:
        raise errors.invalid("get_file", "each member of the archive", "inside its folder", name)
