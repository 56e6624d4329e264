"""The two passes over the pictures: inspect all of them, on Ray Data, then write the good ones, a task a shard.

Workers import this file, so it stays light: no torch, no command line.
"""

from __future__ import annotations

import posixpath
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import fs

from itkm_core.corpus.digest import DIGEST_BYTES, digest_at_depth, image_digest
from itkm_core.corpus.images import BadImage, Examined, ImageLimits, eight_bits, examine_image
from itkm_core.corpus.shrink import shrink, shrunk_digest
from itkm_core.corpus.writer import ACCEPTED_SCHEMA, write_shard
from itkm_core.storage.object_store import patiently
from itkm_core.storage.paths import resolve
from pipelines.faults import carried
from pipelines.ingest.mapped import Report, by_tasks, cluster_cpus, in_one_list, mapped

READ_AHEAD = 16
"""Requests in flight to an object store; a local disk needs none."""

INSPECTED_SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("low", pa.int32()),  # of 16-bit grey the lowest and highest value, else -1
        ("high", pa.int32()),
        ("num_bytes", pa.int64()),
        ("digest", pa.binary(DIGEST_BYTES)),
        ("reason", pa.string()),  # empty for a good picture
        ("detail", pa.string()),
        ("pack", pa.int32()),  # of a crop the file that it is kept in and where in it, else -1
        ("offset", pa.int64()),
    ]
)
VIEW = "#clothes"
"""Behind the uri of a row that shows the picture of another row (`derive: clothes`)."""

DETAIL_LETTERS = 300  # a decoder may repeat what it read


def inspect_all(
    listing: pa.Table, roots: Sequence[str], limits: ImageLimits, report: Report
) -> pa.Table:
    """Decode every picture of `listing` (SOURCE_SCHEMA and `row`). Returns INSPECTED_SCHEMA, in any order."""
    num, cpus = listing.num_rows, cluster_cpus()
    numbered = listing.select(["uri", "source", "num_bytes", "row"])
    # Small enough for all CPUs to finish together and progress to show, large enough to be worth a task.
    step = min(2048, max(32, -(-num // (8 * cpus))))
    blocks = [numbered.slice(start, step) for start in range(0, num, step)]
    tables, done = [], 0
    for table in mapped(blocks, inspect_pictures, roots=list(roots), limits=limits):
        tables.append(table)
        done += table.num_rows
        report(done, num)
    return pa.concat_tables(tables).cast(INSPECTED_SCHEMA)


def write_all(
    out: str,
    accepted: pa.Table,
    origin: pa.Table,
    shards: Sequence[tuple[int, int]],
    roots: Sequence[str],
    report: Report,
) -> list[str]:
    """Write the shards of `accepted` (ACCEPTED_SCHEMA) below `out`. Returns one line for each shard that failed.

    origin: of each picture `source`, the index of its source in `roots`; `depth`, what `eight_bits` takes of
    16-bit grey, or 0 for a picture that is kept with its bits; `shrink`, the factor by which it is brought down, or 0;
    `view`, whether it is found at its uri without VIEW; and, of a crop, the `pack` below its root and the `offset` in
    it, else -1.
    """
    rows = accepted
    for name in origin.column_names:
        rows = rows.append_column(name, origin[name])
    plans = [
        pa.table(
            {
                "shard": pa.array([shard], pa.int64()),
                "first_id": pa.array([start], pa.int64()),
                "rows": in_one_list(rows.slice(start, stop - start)),
            }
        )
        for shard, (start, stop) in enumerate(shards)
    ]
    faults, done = [], 0
    for table in by_tasks("write", plans, write_shards, roots=list(roots), out=out):
        faults += [fault for fault in table["fault"].to_pylist() if fault]
        done += sum(table["num_rows"].to_pylist())
        report(done, accepted.num_rows)
    return faults


@carried()
def inspect_pictures(batch: pa.Table, roots: list[str], limits: ImageLimits) -> pa.Table:
    """Ray Data step: the properties of each listed picture, or why it cannot be used."""
    columns: dict[str, list] = {name: [] for name in INSPECTED_SCHEMA.names}
    with warnings.catch_warnings():
        # What Pillow warns about either becomes a reason or does not affect the pixels.
        warnings.simplefilter("ignore")
        for row, data in zip(
            batch["row"].to_pylist(), _pictures(batch, roots, limits), strict=True
        ):
            found, digest, reason, detail = Examined(0, 0), bytes(DIGEST_BYTES), "", ""
            try:
                if isinstance(data, BadImage):
                    raise data
                found = examine_image(data, limits)
                digest = image_digest(data)
            except BadImage as bad:
                reason = bad.reason
                detail = bad.detail[:DETAIL_LETTERS].encode("utf-8", "backslashreplace").decode()
            size = 0 if isinstance(data, BadImage) else len(data)
            values = (row, *found, size, digest, reason, detail, -1, -1)
            for name, value in zip(columns, values, strict=True):
                columns[name].append(value)
    return pa.table(columns, schema=INSPECTED_SCHEMA)


@carried()
def write_shards(batch: pa.Table, roots: list[str], out: str) -> pa.Table:
    """The body of a task: write one shard per row. A fault is returned as a row, to be reported as one clear line."""
    written: list[int] = []
    faults: list[str] = []
    for plan in range(batch.num_rows):
        shard, first_id = batch["shard"][plan].as_py(), batch["first_id"][plan].as_py()
        rows = pa.Table.from_struct_array(batch["rows"][plan].values)
        images = _same_pictures(rows, roots)
        fault = ""
        try:
            write_shard(out, shard, first_id, rows.select(ACCEPTED_SCHEMA.names), images)
        except _Changed as error:
            fault = str(error)
        except OSError as error:
            fault = f"cannot write shard {shard} to {out}: {error}"
        written.append(rows.num_rows)
        faults.append(fault)
    return pa.table({"num_rows": written, "fault": faults})


class _Changed(Exception):
    """A picture has changed since the first pass."""


def _same_pictures(rows: pa.Table, roots: list[str]) -> Iterator[bytes]:
    if pc.any(rows["view"]).as_py():
        bare = pc.replace_substring_regex(rows["uri"], f"{VIEW}$", "")
        place = rows.schema.get_field_index("uri")
        rows = rows.set_column(place, "uri", pc.if_else(rows["view"], bare, rows["uri"]))
    names = ("uri", "digest", "depth", "shrink")
    expected = zip(*(rows[name].to_pylist() for name in names), strict=True)
    no_limit = ImageLimits(max_bytes=2**62)
    pictures = _pictures(rows, roots, no_limit)
    for (uri, digest, depth, factor), data in zip(expected, pictures, strict=True):
        if isinstance(data, BadImage) or digest != shrunk_digest(
            digest_at_depth(image_digest(data), depth), factor
        ):
            raise _Changed(f"{uri} changed while it was being ingested")
        kept = eight_bits(data, depth) if depth else data
        yield shrink(kept, factor) if factor else kept


def pack_name(pack: int) -> str:
    """The file of a span's crops, one behind the other."""
    return f"pack-{pack:05d}"


def _pictures(rows: pa.Table, roots: list[str], limits: ImageLimits) -> Iterator[bytes | BadImage]:
    """The encoded pictures of `rows`, in order; read ahead where reading means waiting."""
    places = [resolve(root) for root in roots]

    def read(uri: str, source: int, size: int, pack: int, offset: int) -> bytes | BadImage:
        filesystem, folder = places[source]
        name = uri if pack < 0 else pack_name(pack)
        return _read(filesystem, posixpath.join(folder, name), size, offset, limits)

    names = ("uri", "source", "num_bytes")
    columns = [rows[name].to_pylist() for name in names]
    for name in ("pack", "offset"):
        known = name in rows.column_names
        columns.append(rows[name].to_pylist() if known else [-1] * rows.num_rows)
    tasks = zip(*columns, strict=True)
    if all(isinstance(each, fs.LocalFileSystem) for each, _ in places):
        yield from (read(*task) for task in tasks)
        return
    with ThreadPoolExecutor(READ_AHEAD) as pool:
        waiting: deque[Future[bytes | BadImage]] = deque()
        for task in tasks:
            waiting.append(pool.submit(read, *task))
            if len(waiting) >= READ_AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _read(
    filesystem: fs.FileSystem, path: str, size: int, offset: int, limits: ImageLimits
) -> bytes | BadImage:
    """A file, or, from an `offset` on that is not -1, `size` bytes of it."""
    if size < 0:
        return BadImage("missing")

    def read() -> bytes | BadImage:
        with filesystem.open_input_file(path) as file:
            if offset >= 0:
                return bytes(file.read_at(size, offset))
            if file.size() > limits.max_bytes:
                return BadImage("too_many_bytes", f"{file.size()} > {limits.max_bytes}")
            return bytes(file.read())

    try:
        return patiently(read)
    except FileNotFoundError:
        return BadImage("missing")
    except OSError as error:
        return BadImage("unreadable", str(error))
