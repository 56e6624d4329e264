"""Paths below a root, none of which may lead out of it."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from pyarrow import fs

from itkm_core.errors import CorpusError
from itkm_core.storage.paths import is_local, resolve


@dataclass(frozen=True)
class SetAside:
    """A picture that cannot be used, as is known without opening it; `reason` is a key of `images.REASONS`.

    uri: readable text, in place of a name that is none. scenario: empty if it is not known.
    """

    uri: str
    reason: str
    detail: str
    scenario: str = ""


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


def links_out(root: str, paths: Sequence[str]) -> dict[str, str]:
    """Those of `paths` that a link takes out of a local `root`, and where to."""
    if not is_local(root):
        return {}
    inner = resolve(root)[1]
    real_root = os.path.realpath(inner)
    folders = {posixpath.dirname(path) for path in paths}
    away = {folder: led_out(os.path.join(inner, folder), real_root) for folder in folders}
    found = {}
    for path in paths:
        full = os.path.join(inner, path)
        target = away[posixpath.dirname(path)]
        if target is None and os.path.islink(full):
            target = led_out(full, real_root)
        if target is not None:
            found[path] = target
    return found


def led_out(path: str, real_root: str) -> str | None:
    """In words, where the links in a local `path` lead if that is not below `real_root`."""
    real = os.path.realpath(path)
    if real == real_root or real.startswith(real_root.rstrip("/") + "/"):
        return None
    return f"leads out of the root {real_root} (to {readable(real)})"


def readable(path: str) -> str:
    """A local path as text that is UTF-8, with backslashes for bytes that are not."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def file_stamps(root: str, paths: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """(size in bytes, time of change in ns) of each path, int64 [N]; size -1 where there is no regular file."""
    filesystem, inner = resolve(root)
    sizes = np.full(len(paths), -1, dtype=np.int64)
    times = np.zeros(len(paths), dtype=np.int64)
    # Listing an object store once is far faster than one request per object.
    known = None if is_local(root) else remote_files(root)
    for row, path in enumerate(paths):
        full = posixpath.join(inner, path)
        try:
            info = filesystem.get_file_info(full) if known is None else known.get(path)
        except OSError:  # a folder that may not be entered: reading the file says so
            sizes[row] = 0
            continue
        if info is not None and info.type == fs.FileType.File:
            sizes[row], times[row] = info.size, info.mtime_ns or 0
    return sizes, times


def remote_files(root: str) -> dict[str, fs.FileInfo]:
    """The files below `root` in an object store by their paths, in one listing."""
    filesystem, inner = resolve(root)
    infos = filesystem.get_file_info(fs.FileSelector(inner, recursive=True))
    prefix = inner.rstrip("/") + "/"
    return {info.path.removeprefix(prefix): info for info in infos if info.type == fs.FileType.File}
