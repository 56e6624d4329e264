"""The trackers' files that an export reads, and the names of those that it writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

import pyarrow as pa

from itkm_core.corpus.digest import image_digest
from itkm_core.errors import CorpusError
from itkm_core.storage.place import Place

RECORD = "export.json"
"""What an export wrote, in its folder."""


def check_files(tracks: pa.Table) -> None:
    """Raises CorpusError for a tracker's file that is gone, or is not the one that the corpus was made from."""
    files = tracks.group_by("tracks").aggregate([("tracks_digest", "min")]).to_pylist()
    for row in sorted(files, key=lambda row: str(row["tracks"])):
        path = Place(row["tracks"])
        if not path.exists():
            raise CorpusError(f"the tracker's file {path} is gone; put it back, or ingest again")
        if image_digest(path.read_bytes()).hex() != row["tracks_digest_min"]:
            raise CorpusError(
                f"the tracker's file {path} has changed since the corpus was made; put it back, or ingest again"
            )


def file_names(paths: Sequence[str]) -> dict[str, str]:
    """A name for each of several files: its own with .txt, or with so many of its folders before it that all differ."""
    bare = {path: PurePosixPath(path.partition("?")[0].lstrip("/")) for path in paths}
    parts = {path: each.with_suffix("").parts for path, each in bare.items()}
    for depth in range(1, 1 + max(map(len, parts.values()), default=0)):
        names = {path: "-".join(each[-depth:]) + ".txt" for path, each in parts.items()}
        if len({name.casefold() for name in names.values()}) == len(names):
            return names
    return {path: f"{number}.txt" for number, path in enumerate(paths, start=1)}


def remove_earlier(place: Place) -> None:
    """Remove the files of an earlier export, which may be of other cameras."""
    record = place / RECORD
    found = record.read_json() if record.exists() else None
    files = found.get("files") if isinstance(found, dict) else None
    rows = files if isinstance(files, list) else []
    listed = [each.get("file") for each in rows if isinstance(each, dict)]
    for name in place.names():
        if name in listed:
            (place / name).remove()
