"""The files that say which pictures of a collection are in which split: lists of paths, and MATLAB's .mat."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import scipy.io

from itkm_core.collections.shipped import Shipped, check_paths, pictures_in, read_text
from itkm_core.errors import CorpusError
from itkm_core.storage.paths import join, read_bytes


class Part(NamedTuple):
    """What a list of pictures is of. folder: its paths are relative to this one, below the root."""

    split: str
    group: int = 0
    folder: str = ""


def read_lists(root: str, lists: Mapping[str, Part], title: str) -> dict[str, Part]:
    """The pictures that the lists name, below `root`, and the part that each is in.

    lists: files of a path a line, then a blank and the number of its person, which is not read: the path says who.

    Raises:
        CorpusError: a list is missing or names no picture, or a picture is in two of them.
    """
    check_paths(root, list(lists), title)
    found: dict[str, Part] = {}
    for path, part in lists.items():
        lines = read_text(root, path, title).splitlines()
        named = [f"{part.folder}{line.split()[0]}" for line in lines if line.strip()]
        if not named:
            raise CorpusError(
                f"{join(root, path)} names no pictures; expected a path and a number a line"
            )
        for uri in named:
            if uri in found:
                raise CorpusError(
                    f"{join(root, path)} names {uri} for the second time; expected each picture of {title} in one "
                    f"of {', '.join(lists)}"
                )
            found[uri] = part
    return found


def listed_pictures(
    root: str, lists: Mapping[str, Part], folders: Sequence[str], title: str, scenario: str
) -> tuple[Shipped, list[Part]]:
    """The pictures of `folders` that the lists name, and the part that each of their `uris` is in.

    Raises:
        CorpusError: as `read_lists`, `pictures_in` and `keep_listed`.
    """
    listed = read_lists(root, lists, title)
    shipped = pictures_in(root, folders, title, scenario)
    keep_listed(shipped, listed, root, title)
    return shipped, [listed[uri] for uri in shipped.uris]


def keep_listed(shipped: Shipped, listed: Mapping[str, object], root: str, title: str) -> None:
    """Keep the pictures that split files name, all of which must be there, or be set aside for another reason.

    Raises:
        CorpusError: some are not there, as in a half-extracted archive.
    """
    here = {*shipped.uris, *(each.uri for each in shipped.aside)}
    missing = [uri for uri in listed if uri not in here]
    if missing:
        raise CorpusError(
            f"{root} lacks {len(missing):,} of the {len(listed):,} pictures that the split files of {title} name, the "
            f"first of them {missing[0]}; expected all: extract its archive again"
        )
    shipped.keep(list(listed), "in no split file")


def read_mat(root: str, path: str, title: str) -> dict[str, Any]:
    """The variables of a .mat file up to version 7, as arrays.

    Raises:
        CorpusError: it is not there, or is none.
    """
    check_paths(root, [path], title)
    try:
        data = io.BytesIO(read_bytes(join(root, path)))
        return scipy.io.loadmat(data)  # type: ignore[arg-type]  # the stubs know paths alone
    except Exception as error:  # scipy raises whatever it stumbles over in a file that is none
        raise CorpusError(
            f"{join(root, path)} of {title} cannot be read as .mat: {error}"
        ) from error
