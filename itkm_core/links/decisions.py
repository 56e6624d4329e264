"""What a person decided: a CSV with `a, b, verdict`, each row two images and `same` or `different`. [ours]"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pa_csv

from itkm_core.errors import LinkError
from itkm_core.storage.paths import read_bytes

VERDICTS = ("same", "different")
EXPECTED = "expected a CSV with the columns a, b and verdict"

Ints = npt.NDArray[np.int64]


def _no_pairs() -> Ints:
    return np.zeros((0, 2), np.int64)


def _no_lines() -> Ints:
    return np.zeros(0, np.int64)


@dataclass(frozen=True)
class Decisions:
    """`same`, `different` int64 [M, 2]: pairs of images, by their places in the arrays at hand. `same_lines`,
    `different_lines` int64 [M]: the line of each in the file `source`."""

    same: Ints = field(default_factory=_no_pairs)
    different: Ints = field(default_factory=_no_pairs)
    same_lines: Ints = field(default_factory=_no_lines)
    different_lines: Ints = field(default_factory=_no_lines)
    source: str = "decisions"

    def where(self, row: int, *, same: bool) -> str:
        """A row of `same` or `different` as its place in the file."""
        return f"{self.source}, line {(self.same_lines if same else self.different_lines)[row]}"

    def line_of(self, a: int, b: int) -> str:
        """Where a and b are called the same; an empty text if they are not."""
        found = np.flatnonzero((np.sort(self.same, axis=1) == sorted((a, b))).all(axis=1))
        return self.where(int(found[0]), same=True) if len(found) else ""


NO_DECISIONS = Decisions()


def decisions_file(path: str) -> bytes:
    """What a file of decisions holds.

    Raises:
        LinkError: it cannot be read.
    """
    try:
        return read_bytes(path)
    except FileNotFoundError as error:
        raise LinkError(f"links.decisions: there is no file {path}; {EXPECTED}") from error
    except OSError as error:
        why = error.strerror or error
        raise LinkError(f"links.decisions: cannot read {path}: {why}") from error


def read_decisions(data: bytes, path: str, place_of: Callable[[str], int | None]) -> Decisions:
    """The decisions of a CSV file. path: what errors call it. place_of: the place of the image that a text names, None
    if there is none.

    Raises:
        LinkError: another form, a verdict that is neither, or an image that there is not, with its line.
    """
    columns = _columns(data, path)
    pairs: dict[str, list[tuple[int, int]]] = {verdict: [] for verdict in VERDICTS}
    lines: dict[str, list[int]] = {verdict: [] for verdict in VERDICTS}
    # The line is that of the row if no field has line breaks in it, which neither ids nor paths have.
    for line, row in enumerate(zip(*columns, strict=True), start=2):
        *names, verdict = ((text or "").strip() for text in row)
        if verdict.casefold() not in VERDICTS:
            raise LinkError(
                f"{path}, line {line}: verdict {verdict!r}; expected {' or '.join(VERDICTS)}"
            )
        places = [place_of(name) for name in names]
        for name, place in zip(names, places, strict=True):
            if place is None:
                raise LinkError(
                    f"{path}, line {line}: there is no image {name!r}; expected a sample id, or SCENARIO:URI as in the "
                    "corpus"
                )
        a, b = (int(place) for place in places if place is not None)
        pairs[verdict.casefold()].append((a, b))
        lines[verdict.casefold()].append(line)
    same, different = (np.array(pairs[v], np.int64).reshape(-1, 2) for v in VERDICTS)
    same_lines, different_lines = (np.array(lines[v], np.int64) for v in VERDICTS)
    return Decisions(same, different, same_lines, different_lines, path)


def _columns(data: bytes, path: str) -> list[list[str | None]]:
    """The texts of a, b and verdict."""
    try:
        header = pa_csv.open_csv(pa.BufferReader(data)).schema.names
        texts = pa_csv.ConvertOptions(
            column_types={name: pa.string() for name in header}, strings_can_be_null=False
        )
        table = pa_csv.read_csv(pa.BufferReader(data), convert_options=texts)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        said = " ".join(str(error).split())
        raise LinkError(f"links.decisions: cannot read {path}: {said}; {EXPECTED}") from error
    names = [name.strip().casefold() for name in table.column_names]
    for wanted in ("a", "b", "verdict"):
        if names.count(wanted) != 1:
            what = "no column" if wanted not in names else "more than one column"
            raise LinkError(f"{path} has {what} {wanted!r}; {EXPECTED}")
    return [table.column(names.index(wanted)).to_pylist() for wanted in ("a", "b", "verdict")]
