"""What the readers of public collections share: the folders they must find, and rows from what names say."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from itkm_core.collections.files import SetAside, check_folder, links_out
from itkm_core.collections.finding import find_pictures
from itkm_core.collections.listing import Listing
from itkm_core.corpus.schema import LISTING_SCHEMA, UNKNOWN
from itkm_core.errors import CorpusError
from itkm_core.storage.paths import exists, join, read_bytes


@dataclass
class Shipped:
    """Pictures of a collection: `uris` below its root, sorted, and what of it is no use or no picture."""

    uris: list[str]
    aside: list[SetAside] = field(default_factory=list)
    left_out: dict[str, tuple[int, str]] = field(default_factory=dict)

    def keep(self, uris: Sequence[str], why: str) -> None:
        """Keep these of the pictures alone; `why` is what the others are left out for, as in `Found.left_out`."""
        wanted = set(uris)
        others = [uri for uri in self.uris if uri not in wanted]
        if others:
            self.left_out[why] = (len(others), others[0])
        self.uris = [uri for uri in self.uris if uri in wanted]


def check_paths(root: str, paths: Sequence[str], title: str) -> None:
    """Raises CorpusError, saying which are missing, unless `root` has all these folders and files."""
    check_folder(root)
    missing = [path for path in paths if not exists(join(root, path))]
    if missing:
        raise CorpusError(
            f"{root} has no {' and no '.join(missing)}; expected {title} as published, with "
            f"{', '.join(paths)}. For other layouts use --as folder"
        )


def pictures_in(root: str, folders: Sequence[str], title: str, scenario: str) -> Shipped:
    """The pictures of these folders, which must all be there; "" is the root.

    title: of the collection, for errors. scenario: for what is set aside.

    Raises:
        CorpusError: a folder is missing, or has no picture in it, as in a half-extracted archive.
    """
    check_paths(root, folders, title)
    shipped = Shipped([])
    for folder in folders:
        found = find_pictures(join(root, folder), by_content=False)
        shipped.uris += [posixpath.join(folder, name) for name in found.paths]
        shipped.aside += [
            replace(each, uri=posixpath.join(folder, each.uri), scenario=scenario)
            for each in found.aside
        ]
        for kind, (number, example) in found.left_out.items():
            before, first = shipped.left_out.get(kind, (0, posixpath.join(folder, example)))
            shipped.left_out[kind] = (before + number, first)
    away = links_out(root, shipped.uris)  # one of the folders may be a link
    shipped.aside += [SetAside(uri, "outside", to, scenario) for uri, to in away.items()]
    shipped.uris = sorted(uri for uri in shipped.uris if uri not in away)
    return shipped


def read_names(
    uris: Sequence[str], form: re.Pattern[str], title: str, example: str
) -> dict[str, list[str]]:
    """What each path says: the texts of `form`'s named groups, which matches whole paths below the root.

    Raises:
        CorpusError: a path of another form; `example` is what was expected.
    """
    columns: dict[str, list[str]] = {name: [] for name in form.groupindex}
    for uri in uris:
        found = form.fullmatch(uri)
        if found is None:
            raise CorpusError(f"{uri!r} is not a name of {title}; expected one such as {example}")
        for name, column in columns.items():
            column.append(found[name])
    return columns


def read_text(root: str, path: str, title: str) -> str:
    """A split file or list of a collection.

    Raises:
        CorpusError: it is not there, or is not UTF-8.
    """
    check_paths(root, [path], title)
    try:
        return read_bytes(join(root, path)).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorpusError(f"{join(root, path)} of {title} is not text: {error}") from error


def make_rows(
    shipped: Shipped,
    scenario: str,
    *,
    split: Sequence[str],
    person: npt.ArrayLike,
    camera: npt.ArrayLike,
    draws: pa.Table | None = None,
    **more: npt.ArrayLike,
) -> Listing:
    """A listing of `shipped.uris`, each argument with a value for each of them.

    more: group (0 if absent), clothes, tracklet, frame (-1 if absent). draws: `Listing.draws`.
    """
    num = len(shipped.uris)
    absent: Mapping[str, int] = {
        "group": 0,
        "clothes": UNKNOWN,
        "tracklet": UNKNOWN,
        "frame": UNKNOWN,
    }
    assert more.keys() <= absent.keys(), more.keys()
    columns = {
        "uri": shipped.uris,
        "scenario": [scenario] * num,
        "split": list(split),
        "person": np.asarray(person, np.int64),
        "camera": np.asarray(camera, np.int32),
    }
    for name, value in absent.items():
        kind = LISTING_SCHEMA.field(name).type.to_pandas_dtype()
        columns[name] = np.asarray(more.get(name, np.full(num, value)), kind)
    rows = pa.table({name: columns[name] for name in LISTING_SCHEMA.names}, schema=LISTING_SCHEMA)
    return Listing(rows.sort_by("uri"), aside=shipped.aside, left_out=shipped.left_out, draws=draws)
