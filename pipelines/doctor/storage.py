"""Whether all nodes share --out: each writes a small file there, and each reads the files of all."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import suppress

import pyarrow as pa

from itkm_core.errors import StorageError
from itkm_core.storage.place import Place
from pipelines.doctor.ask import Answers, Node, ask
from pipelines.doctor.judge_cluster import Line, judge_out
from pipelines.doctor.probe import read_marks, remove_mark, write_mark

MARKS = ".itkm-doctor"


def examine_storage(out: str, nodes: Sequence[Node], seconds: float) -> Line:
    """Each node writes a file below `out` and reads those of all; then the files are removed."""
    # One folder, not nested: in an object store, deleting leaves a marker of the parent folder, which must not be
    # below `out`, where a run expects nothing.
    folder = (Place.at(out) / f"{MARKS}-{uuid.uuid4().hex[:12]}").uri
    named = {node.id: node.name for node in nodes}
    ids = list(named)
    written = Answers({}, {})
    try:
        written = ask(nodes, write_mark, lambda node: (folder, node.id), seconds)
        seen = ask(nodes, read_marks, lambda _: (folder, ids), seconds)
    finally:
        _clean(folder, nodes, written, seconds)
    failed = {**written.silent, **seen.silent}
    for each, found in [*written.of.items(), *seen.of.items()]:
        if "error" in found:
            # Without the id, the same fault has the same words on every node.
            failed.setdefault(each, found["error"].replace(each, "…"))
    views = {
        named[each]: [named[other] for other in found["seen"]] for each, found in seen.of.items()
    }
    return judge_out(out, {named[each]: why for each, why in failed.items()}, views)


def _clean(folder: str, nodes: Sequence[Node], written: Answers, seconds: float) -> None:
    made = {each: found.get("made", []) for each, found in written.of.items()}

    def left(node: Node) -> tuple[str, str, list[str]]:
        return folder, node.id, made.get(node.id, [])

    ask(nodes, remove_mark, left, seconds)
    place = Place.at(folder)
    if not place.is_local:
        # If no node could write, there is nothing to delete.
        with suppress(OSError, pa.ArrowException, StorageError):
            filesystem, path = place.resolve()
            filesystem.delete_dir(path)
        return
    # The node that made the folders may have come by before the last file was gone.
    ask([node for node in nodes if made.get(node.id)], remove_mark, left, seconds)
