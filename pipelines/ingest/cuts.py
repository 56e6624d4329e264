"""The pass over videos, a task a span: frames are decoded once, and what is cut from them kept until it is written.

Workers import this file, so it stays light: no torch, no command line.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from itkm_core.collections.tracks.cutting import SpanCrops, cut_span
from itkm_core.collections.tracks.frames import Frames, plan_spans
from itkm_core.corpus.digest import DIGEST_BYTES, image_digest
from itkm_core.corpus.images import BadImage
from itkm_core.errors import StorageError
from itkm_core.storage.paths import resolve
from pipelines.faults import carried
from pipelines.ingest.mapped import Report, by_tasks, cluster_cpus, in_one_list
from pipelines.ingest.tasks import INSPECTED_SCHEMA, pack_name


@dataclass(frozen=True)
class Cuts:
    """The pictures of a listing that are cut from videos.

    crops: CROPS_SCHEMA and `row`, the row of the listing. videos: what `video` counts. qualities: of the JPEGs of each.
    """

    crops: pa.Table
    videos: Sequence[Frames]
    qualities: Sequence[int]


def cut_all(cuts: Cuts, scratch: str | None, report: Report) -> pa.Table:
    """Cut all crops. Returns INSPECTED_SCHEMA, in any order.

    scratch: a folder to keep them in, a file a span; None: they are not kept.
    """
    # The longest first, so that no CPU is left with one at the end.
    plans = sorted(_plans(cuts, cluster_cpus()), key=lambda plan: -plan["frames"][0].as_py())
    numbered = (
        plan.append_column("pack", pa.array([pack], pa.int32())) for pack, plan in enumerate(plans)
    )
    tables, done = [], 0
    for table in by_tasks("cut", numbered, cut_spans, scratch=scratch):
        tables.append(table)
        done += table.num_rows
        report(done, cuts.crops.num_rows)
    return pa.concat_tables(tables).cast(INSPECTED_SCHEMA)


def _plans(cuts: Cuts, cpus: int) -> Iterator[pa.Table]:
    """A table of one row for each span of each video; `frames`: from its first to its last."""
    crops = cuts.crops.sort_by(
        [("video", "ascending"), ("number", "ascending"), ("row", "ascending")]
    )
    columns = {name: crops[name].to_numpy() for name in crops.column_names}
    bounds = np.searchsorted(columns["video"], np.arange(len(cuts.videos) + 1))
    for video, (frames, quality) in enumerate(zip(cuts.videos, cuts.qualities, strict=True)):
        mine = slice(bounds[video], bounds[video + 1])
        if mine.start == mine.stop:
            continue
        number = columns["number"][mine]
        wanted = np.unique(number)
        for span in plan_spans(frames, wanted, cpus):
            ends = np.searchsorted(number, [wanted[span.start], wanted[span.stop - 1] + 1])
            rows = slice(mine.start + ends[0], mine.start + ends[1])
            inside = crops.slice(rows.start, rows.stop - rows.start)
            inside = inside.append_column("at", pa.array(frames.at(columns["number"][rows])))
            names = (
                [frames.names[n - 1] for n in wanted[span.start : span.stop]]
                if frames.names
                else []
            )
            yield pa.table(
                {
                    "frames": pa.array([int(np.ptp(wanted[[span.start, span.stop - 1]])) + 1]),
                    "path": pa.array([frames.path]),
                    "width": pa.array([frames.width], pa.int32()),
                    "height": pa.array([frames.height], pa.int32()),
                    "quality": pa.array([quality], pa.int32()),
                    "seeks": pa.array([span.seeks], pa.list_(pa.int64())),
                    "names": pa.array([names], pa.list_(pa.string())),
                    "crops": in_one_list(inside.drop_columns(["video"])),
                }
            )


@carried()
def cut_spans(batch: pa.Table, scratch: str | None) -> pa.Table:
    """The body of a task: cut the crops of one span a row, and say what they are, as `inspect_pictures` does."""
    columns: dict[str, list[Any]] = {name: [] for name in INSPECTED_SCHEMA.names}
    for plan in range(batch.num_rows):
        one = batch.slice(plan, 1)
        crops = pa.Table.from_struct_array(one["crops"].combine_chunks().values)
        span, pack = _span(one, crops), one["pack"][0].as_py()
        rows, offset = crops["row"].to_pylist(), 0
        for place, data in _kept(span, scratch, pack):
            left, top, right, bottom = span.boxes[place].tolist()
            found: tuple[Any, ...]
            if isinstance(data, BadImage):
                found = (0, 0, -1, -1, 0, bytes(DIGEST_BYTES), data.reason, data.detail, -1, -1)
            else:
                digest = image_digest(data)
                found = (
                    bottom - top,
                    right - left,
                    -1,
                    -1,
                    len(data),
                    digest,
                    "",
                    "",
                    pack,
                    offset,
                )
                offset += len(data)
            for name, value in zip(columns, (rows[place], *found), strict=True):
                columns[name].append(value)
    return pa.table(columns, schema=INSPECTED_SCHEMA)


def _span(one: pa.Table, crops: pa.Table) -> SpanCrops:
    plan = one.drop_columns(["crops"]).to_pylist()[0]
    edges = [crops[name].to_numpy() for name in ("left", "top", "right", "bottom")]
    return SpanCrops(
        plan["path"],
        (plan["width"], plan["height"]),
        crops["at"].to_numpy(),
        crops["number"].to_numpy(),
        np.stack(edges, axis=1),
        plan["seeks"],
        plan["names"],
        plan["quality"],
    )


def _kept(
    span: SpanCrops, scratch: str | None, pack: int
) -> Iterator[tuple[int, bytes | BadImage]]:
    """`cut_span`, each crop written behind the one before it."""
    filesystem, folder = (None, "") if scratch is None else resolve(scratch)
    path = posixpath.join(folder, pack_name(pack))
    try:
        with nullcontext() if filesystem is None else filesystem.open_output_stream(path) as file:
            for place, data in cut_span(span):
                if file is not None and not isinstance(data, BadImage):
                    file.write(data)
                yield place, data
    except OSError as error:
        raise StorageError(f"cannot write crops to {scratch}: {error}") from error
