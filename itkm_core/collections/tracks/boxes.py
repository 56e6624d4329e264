"""A tracker's output as a table of boxes: MOTChallenge text, CSV or Parquet."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from itkm_core.errors import CorpusError
from itkm_core.storage.paths import read_bytes

NAMES = ("frame", "id", "left", "top", "width", "height", "conf")
"""The columns, in MOTChallenge's order. All but conf are needed; further ones are not read."""

UNKNOWN_CONFIDENCE = -1.0
MAX_NUMBER = 2**53  # whole numbers beyond it are not exact as floats


@dataclass(frozen=True)
class Boxes:
    """A tracker's boxes, sorted by frame and id.

    line: int64 [N], where each was read: the line of a text, the row of a Parquet file, from 1. frame: int64 [N],
    from 1. id: int64 [N]. box: float64 [N, 4], left, top, width and height in pixels, in which the picture begins at 0;
    not checked: trackers also write boxes of no size, beside the picture and of NaN. conf: float64 [N], -1 if unknown.
    """

    line: np.ndarray
    frame: np.ndarray
    id: np.ndarray
    box: np.ndarray
    conf: np.ndarray

    def __len__(self) -> int:
        return len(self.frame)


def read_boxes(path: str) -> Boxes:
    """The boxes in a tracker's file.

    A text has a box a line, with commas, semicolons or blanks between its numbers, in the order of NAMES or with a
    header that has these names; it may begin with a BOM, and its lines may end in CRLF.

    Raises:
        CorpusError: with the line: no numbers, a frame below 1, an id below 0, an id twice in a frame, other columns.
    """
    try:
        data = read_bytes(path)
    except FileNotFoundError as error:
        raise CorpusError(f"there is no tracker's file {path}") from error
    except OSError as error:
        raise CorpusError(f"cannot read the tracker's file {path}: {error}") from error
    if path.lower().partition("?")[0].endswith(".parquet"):
        lines, columns = _of_parquet(data, path)
        where = "row"
    else:
        lines, columns = _of_text(data, path)
        where = "line"
    if not len(lines):
        raise CorpusError(f"{path} has no boxes; expected the output of a tracker")
    return _checked(lines, columns, f"{path}: {where}")


def _of_text(data: bytes, path: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """(the line of each box, its columns by name)."""
    try:
        texts = data.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{path} is not UTF-8 ({error.reason}); expected a tracker's output as text, CSV or Parquet"
        ) from error
    rows = [(line, text) for line, text in enumerate(map(str.strip, texts), start=1) if text]
    if not rows:
        return np.zeros(0, np.int64), {}
    between = next((mark for mark in ";," if mark in rows[0][1]), None)
    first = [word.strip().strip('"') for word in rows[0][1].split(between)]
    names: Sequence[str] = NAMES[: len(first)]
    if not _is_number(first[0]):
        names = [word.casefold() for word in first]
        rows = rows[1:]
    elif len(first) < 6:
        raise CorpusError(
            f"{path}: line {rows[0][0]} has {len(first)} columns; expected 6 or more: {', '.join(NAMES)}"
        )
    place = {name: names.index(name) for name in NAMES if name in names}
    if missing := [name for name in NAMES[:6] if name not in place]:
        raise CorpusError(
            f"{path}: the header (line 1) has no {', '.join(missing)}, but {', '.join(names)[:200]}; expected "
            f"{', '.join(NAMES)}, or no header and the columns in this order"
        )
    if not rows:
        return np.zeros(0, np.int64), {}
    try:
        values = np.loadtxt(
            [text for _, text in rows],
            delimiter=between,
            usecols=list(place.values()),
            comments=None,
            ndmin=2,
        )
    except (ValueError, IndexError) as error:
        raise _unreadable(rows, between, place, path) from error
    columns = {name: values[:, number] for number, name in enumerate(place)}
    return np.array([line for line, _ in rows], np.int64), columns


def _unreadable(
    rows: Sequence[tuple[int, str]], between: str | None, place: dict[str, int], path: str
) -> CorpusError:
    for line, text in rows:
        words = [word.strip() for word in text.split(between)]
        if len(words) <= max(place.values()):
            many = max(place.values()) + 1
            return CorpusError(
                f"{path}: line {line} has {len(words)} columns; expected {many}: {text[:80]!r}"
            )
        for name, column in place.items():
            if not _is_number(words[column]):
                return CorpusError(
                    f"{path}: line {line}: {name} {words[column][:40]!r} is not a number; expected numbers with a "
                    "point, and commas, semicolons or blanks between them"
                )
    return CorpusError(f"{path} is not a table of numbers")


def _is_number(text: str) -> bool:
    # Not float(): it also takes 1_000, which a table has not.
    number = r"[+-]?(\d+\.?\d*([eE][+-]?\d+)?|\.\d+([eE][+-]?\d+)?|nan|inf(inity)?)"
    return re.fullmatch(number, text, re.IGNORECASE | re.ASCII) is not None


def _of_parquet(data: bytes, path: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    try:
        table = pq.ParquetFile(pa.BufferReader(data)).read()
    except (OSError, pa.ArrowException) as error:
        raise CorpusError(f"{path} is not Parquet, or damaged: {error}") from error
    if missing := [name for name in NAMES[:6] if name not in table.column_names]:
        raise CorpusError(
            f"{path} has no column {', '.join(missing)}, but {', '.join(table.column_names)[:200]}; expected "
            f"{', '.join(NAMES)}"
        )
    columns = {}
    for name in (name for name in NAMES if name in table.column_names):
        kind = table[name].type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
            raise CorpusError(f"{path}: column {name} holds {kind}; expected numbers")
        values = table[name].cast(pa.float64(), safe=False).fill_null(float("nan"))
        columns[name] = values.to_numpy()
    return np.arange(1, table.num_rows + 1), columns


def _checked(lines: np.ndarray, columns: dict[str, np.ndarray], where: str) -> Boxes:
    for name, least in (("frame", 1), ("id", 0)):
        values = columns[name]
        with np.errstate(invalid="ignore"):
            good = (values >= least) & (values < MAX_NUMBER) & (np.floor(values) == values)
        if not good.all():
            row = int(np.argmin(good))
            raise CorpusError(
                f"{where} {lines[row]}: {name} {values[row]:.16g}; expected whole numbers from {least} "
                + (
                    "(if the first frame has the number 0, add 1 to all)"
                    if name == "frame"
                    else "(these may be detections, before any tracker)"
                )
            )
    frame, ids = columns["frame"].astype(np.int64), columns["id"].astype(np.int64)
    order = np.lexsort((lines, ids, frame))
    frame, ids, lines = frame[order], ids[order], lines[order]
    twice = np.flatnonzero((np.diff(frame) == 0) & (np.diff(ids) == 0))
    if len(twice):
        row = int(twice[0])
        raise CorpusError(
            f"{where} {lines[row + 1]}: id {ids[row]} is in frame {frame[row]} a second time, after "
            f"{where.rpartition(' ')[2]} {lines[row]}; expected every id once in a frame"
        )
    conf = columns.get("conf", np.full(len(lines), UNKNOWN_CONFIDENCE))[order]
    box = np.stack([columns[name][order] for name in NAMES[2:6]], axis=1)
    conf = np.where(
        conf >= 0, conf, UNKNOWN_CONFIDENCE
    )  # trackers write -1 for it; NaN is no better
    return Boxes(lines, frame, ids, box, conf)
