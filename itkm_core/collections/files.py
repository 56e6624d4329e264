"""The picture files below a root, none of which may lead out of it."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Sequence

import numpy as np
from pyarrow import fs

from itkm_core.errors import CorpusError
from itkm_core.storage.paths import is_local, resolve

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


def picture_files(root: str) -> list[str]:
    """Sorted paths below `root` (with forward slashes) of the files named like a picture.

    Names that start with a dot are skipped. Links to folders are followed if they stay inside the root.

    Raises:
        CorpusError: `root` is not a folder, holds no pictures, or has a link that leads out of it.
    """
    check_folder(root)
    found = _local_files(root) if is_local(root) else _remote_files(root)
    pictures = sorted(path for path in found if path.lower().endswith(PICTURE_SUFFIXES))
    if not pictures:
        raise CorpusError(
            f"no pictures in {root}: expected files ending in {', '.join(PICTURE_SUFFIXES)}"
        )
    return pictures


def check_folder(root: str) -> None:
    """Raises CorpusError unless `root` is an existing folder."""
    filesystem, inner = resolve(root)
    kind = filesystem.get_file_info(inner).type
    if kind != fs.FileType.Directory:
        what = "does not exist" if kind == fs.FileType.NotFound else "is not a folder"
        raise CorpusError(f"{root} {what}; expected the folder that holds the pictures")


def normal_paths(paths: Iterable[str], source: str) -> list[str]:
    """`paths` without needless dots and slashes.

    A backslash is refused: part of a name on one system, a separator on another.

    Raises:
        CorpusError: a path is empty, absolute, leads out of the root or contains a backslash or NUL, or two
            paths name the same file.
    """
    normal: list[str] = []
    for path in paths:
        clean = posixpath.normpath(path) if path else ""
        if clean in ("", ".") or clean.startswith(("/", "../")) or clean == ".." or "://" in path:
            raise CorpusError(
                f"{source}: path {path!r} is empty or leads out of the root; expected paths "
                "relative to the folder given as the source's path"
            )
        if "\\" in path or "\0" in path:
            raise CorpusError(
                f"{source}: path {path!r} has a backslash or NUL in it; expected forward slashes between folders"
            )
        normal.append(clean)
    if len(set(normal)) < len(normal):
        seen: set[str] = set()
        twice = next(path for path in normal if path in seen or seen.add(path))  # type: ignore[func-returns-value]
        raise CorpusError(
            f"{source}: {twice!r} is listed twice ({len(normal) - len(set(normal))} such rows); "
            "expected one row per picture"
        )
    return normal


def check_inside(root: str, paths: Sequence[str]) -> None:
    """Raises CorpusError if a link in one of `paths` leads out of a local `root`."""
    if not is_local(root):
        return
    inner = resolve(root)[1]
    real_root = os.path.realpath(inner)
    for folder in sorted({posixpath.dirname(path) for path in paths}):
        _check_link(os.path.join(inner, folder), real_root)
    for path in paths:
        full = os.path.join(inner, path)
        if os.path.islink(full):
            _check_link(full, real_root)


def file_stamps(root: str, paths: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """(size in bytes, time of change in ns) of each path, int64 [N]; size -1 where there is no regular file."""
    filesystem, inner = resolve(root)
    sizes = np.full(len(paths), -1, dtype=np.int64)
    times = np.zeros(len(paths), dtype=np.int64)
    # Listing an object store once is far faster than one request per object.
    known = None if is_local(root) else _remote_files(root)
    for row, path in enumerate(paths):
        full = posixpath.join(inner, path)
        info = filesystem.get_file_info(full) if known is None else known.get(path)
        if info is not None and info.type == fs.FileType.File:
            sizes[row], times[row] = info.size, info.mtime_ns or 0
    return sizes, times


def _local_files(root: str) -> list[str]:
    inner = resolve(root)[1]
    real_root = os.path.realpath(inner)
    found: list[str] = []
    # Each folder is kept with the real folders above it, so that a loop of links ends.
    waiting: list[tuple[str, tuple[str, ...]]] = [("", (real_root,))]
    while waiting:
        below, above = waiting.pop()
        with os.scandir(os.path.join(inner, below)) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                path = posixpath.join(below, _checked_name(entry.name, inner))
                if entry.is_symlink():
                    _check_link(entry.path, real_root)
                if entry.is_dir():
                    real = os.path.realpath(entry.path)
                    if real not in above:
                        waiting.append((path, (*above, real)))
                elif entry.is_file():
                    found.append(path)
    return found


def _remote_files(root: str) -> dict[str, fs.FileInfo]:
    filesystem, inner = resolve(root)
    infos = filesystem.get_file_info(fs.FileSelector(inner, recursive=True))
    prefix = inner.rstrip("/") + "/"
    return {
        info.path.removeprefix(prefix): info
        for info in infos
        if info.type == fs.FileType.File
        and not any(part.startswith(".") for part in info.path.removeprefix(prefix).split("/"))
    }


def _checked_name(name: str, root: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise CorpusError(
            f"a name below {root} is not UTF-8: {os.fsencode(name)!r}; rename it"
        ) from error
    return name


def _check_link(path: str, real_root: str) -> None:
    real = os.path.realpath(path)
    if real != real_root and not real.startswith(real_root.rstrip("/") + "/"):
        raise CorpusError(
            f"{path} leads out of the root {real_root} (to {real}); give the folder that holds all "
            "pictures as the source's path, or copy them in"
        )
