"""The picture files below a root: found, set aside, or left out with a count.

What is a picture shows in its suffix, and where that tells nothing, in its first bytes.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from pyarrow import fs

from itkm_core.collections.files import SetAside, check_folder, led_out, readable, remote_files
from itkm_core.corpus.images import FORMATS, SIGNATURE_BYTES, looks_like_picture
from itkm_core.errors import CorpusError
from itkm_core.storage.object_store import patiently
from itkm_core.storage.paths import is_local, resolve

PICTURE_SUFFIXES = tuple(
    [".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif"]
)

NO_PICTURE = "no picture"
OTHER_SUFFIX = "another suffix"
HIDDEN = "the name begins with a dot"
DISK = "a disk's own folder"
NO_FILE = "no regular file"
FOLDER = "a folder named like a picture (what is in it counts by itself)"
BROKEN_LINK = "a link that leads nowhere"
LINK_OUT = "a link out of the root, not named like a picture"
UNREADABLE = "cannot be read"

_REQUESTS = 16
"""In flight to an object store."""


@dataclass
class Found:
    """paths: sorted, below the root, with forward slashes. left_out: by kind, how many and one of them."""

    paths: list[str] = field(default_factory=list)
    aside: list[SetAside] = field(default_factory=list)
    left_out: dict[str, tuple[int, str]] = field(default_factory=dict)

    def leave(self, kind: str, path: str) -> None:
        """Count a path that is left out. The example is the first by name, whatever the order they are met in."""
        count, example = self.left_out.get(kind, (0, readable(path)))
        self.left_out[kind] = (count + 1, min(example, readable(path)))


def in_words(left_out: Mapping[str, tuple[int, str]]) -> str:
    """Such as "'a.txt' and 2 more: no picture"."""
    return "; ".join(
        f"{example!r}{f' and {number - 1:,} more' if number > 1 else ''}: {kind}"
        for kind, (number, example) in sorted(left_out.items())
    )


def find_pictures(root: str, suffix: str | None = None, *, by_content: bool = True) -> Found:
    """The pictures below `root`: files with a suffix of PICTURE_SUFFIXES, and others that begin like a picture.

    Names that start with a dot are left out. Links to folders are followed if they stay inside the root. Pictures
    behind links that lead out of it, and with names that are not UTF-8, are set aside.

    suffix: one more suffix of pictures. by_content: if not, suffixes alone decide.

    Raises:
        CorpusError: `root` is not a folder, holds no pictures, or has a folder that cannot be listed.
    """
    check_folder(root)
    found = Found()
    named = PICTURE_SUFFIXES if suffix is None else (*PICTURE_SUFFIXES, suffix)
    local = is_local(root)
    paths = list(_local_files(root, named, found) if local else _remote_files(root, found))
    others = [path for path in paths if not path.lower().endswith(named)]
    pictures = [path for path in paths if path.lower().endswith(named)]
    if by_content:
        pictures += _pictures_among(root, others, found)
    else:
        for path in others:
            found.leave(OTHER_SUFFIX, path)
    for path in pictures:
        text = readable(path) if local else path
        if text == path:
            found.paths.append(path)
        else:
            found.aside.append(SetAside(text, "bad_name", "the name is not UTF-8"))
    found.paths.sort()
    found.aside.sort(key=lambda each: each.uri)
    if not found.paths and not found.aside:
        kinds = f"files ending in {', '.join(named)}"
        kinds += f", or others with {', '.join(FORMATS)} data" if by_content else ""
        told = f"; left out are {in_words(found.left_out)}" if found.left_out else ""
        raise CorpusError(f"no pictures in {root}: expected {kinds}{told}")
    return found


def _local_files(root: str, named: Sequence[str], found: Found) -> Iterator[str]:
    inner = resolve(root)[1]
    real_root = os.path.realpath(inner)
    # Each folder is kept with the real folders above it, so that a loop of links ends.
    waiting: list[tuple[str, tuple[str, ...]]] = [("", (real_root,))]
    while waiting:
        below, above = waiting.pop()
        for entry in _entries(os.path.join(inner, below), root):
            path = posixpath.join(below, entry.name)
            is_folder, is_file = _kind(entry)
            away = led_out(entry.path, real_root) if entry.is_symlink() else None
            if entry.name.startswith("."):
                found.leave(HIDDEN, path)
            elif path == "lost+found":  # of root alone, and at the root of any disk
                found.leave(DISK, path)
            elif away is not None:
                if is_folder or path.lower().endswith(tuple(named)):
                    found.aside.append(SetAside(readable(path), "outside", away))
                else:
                    found.leave(LINK_OUT, path)
            elif is_folder:
                if path.lower().endswith(tuple(named)):
                    found.leave(FOLDER, path)
                real = os.path.realpath(entry.path)
                if real not in above:
                    waiting.append((path, (*above, real)))
            elif is_file:
                yield path
            else:
                found.leave(BROKEN_LINK if entry.is_symlink() else NO_FILE, path)


def _entries(folder: str, root: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise CorpusError(
            f"the folder {readable(folder)} below {root} cannot be listed ({error.strerror}), and nobody knows how "
            "many pictures are in it: make it readable, move it out, or give the folders beside it as sources"
        ) from error


def _kind(entry: os.DirEntry[str]) -> tuple[bool, bool]:
    """(is it a folder, is it a regular file), both through links."""
    try:
        return entry.is_dir(), entry.is_file()
    except OSError:  # links in a circle, or into a folder that may not be entered
        return False, False


def _remote_files(root: str, found: Found) -> Iterator[str]:
    for path in remote_files(root):
        if any(part.startswith(".") for part in path.split("/")):
            found.leave(HIDDEN, path)
        else:
            yield path


def _pictures_among(root: str, paths: Sequence[str], found: Found) -> list[str]:
    """Those of `paths` whose first bytes are a picture's."""
    local = is_local(root)
    filesystem, inner = resolve(root)

    def head(path: str) -> bytes | None:
        full = posixpath.join(inner, path)
        try:
            if local:  # names that are not UTF-8 are for the operating system alone
                with open(full, "rb") as file:
                    return file.read(SIGNATURE_BYTES)
            return patiently(lambda: _head_of(filesystem, full))
        except OSError:
            return None

    if local:
        heads = list(map(head, paths))
    else:
        with ThreadPoolExecutor(_REQUESTS) as pool:
            heads = list(pool.map(head, paths))
    pictures = []
    for path, data in zip(paths, heads, strict=True):
        if data is not None and looks_like_picture(data):
            pictures.append(path)
        else:
            found.leave(UNREADABLE if data is None else NO_PICTURE, path)
    return pictures


def _head_of(filesystem: fs.FileSystem, path: str) -> bytes:
    with filesystem.open_input_file(path) as stream:
        return bytes(stream.read(SIGNATURE_BYTES))
