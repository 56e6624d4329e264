"""Tracklets of a tracker's boxes, and who may keep an identity, against loops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from itkm_core.collections.tracks.boxes import Boxes, read_boxes
from itkm_core.errors import CorpusError
from pipelines.export.mot import apart, mot_text, tracklets_of


def boxes_of(frame: np.ndarray, ids: np.ndarray) -> Boxes:
    num = len(frame)
    return Boxes(np.arange(1, num + 1), frame, ids, np.ones((num, 4)), np.ones(num))


def tracks_of(ids: list[int], first: list[int], last: list[int]) -> pa.Table:
    return pa.table(
        {"tracks": ["t.txt"] * len(ids), "id": ids, "first_frame": first, "last_frame": last}
    )


@pytest.mark.parametrize("seed", range(4))
def test_each_box_is_of_the_tracklet_of_its_id_and_time(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = []
    for one in rng.permutation(40)[:12]:
        ends = np.sort(rng.choice(1000, 6, replace=False)) + 1
        rows += [(int(one), int(a), int(b)) for a, b in ends.reshape(3, 2)]
    rows = [rows[at] for at in rng.permutation(len(rows))]
    boxes = [(f, one) for one, a, b in rows for f in {a, b, int(rng.integers(a, b + 1))}]
    frame, ids = np.array(sorted(boxes)).T
    found = tracklets_of(boxes_of(frame, ids), tracks_of(*map(list, zip(*rows, strict=True))))
    for box, row in enumerate(found):
        one, first, last = rows[row]
        assert one == ids[box]
        assert first <= frame[box] <= last


@pytest.mark.parametrize(("frame", "one"), [(4, 7), (3, 8), (3, 6), (1, 7)])
def test_a_box_of_no_tracklet_says_so_with_its_line(frame: int, one: int) -> None:
    boxes = boxes_of(np.array([2, frame]), np.array([7, one]))
    with pytest.raises(CorpusError, match=r"t\.txt: line 2 is of no tracklet"):
        tracklets_of(boxes, tracks_of([7], [2], [3]))


@pytest.mark.parametrize("seed", range(8))
def test_the_surer_tracklet_keeps_an_identity_that_two_have_in_one_frame(seed: int) -> None:
    rng = np.random.default_rng(seed)
    spans = [sorted(rng.integers(0, 60, 2)) for _ in range(25)]
    frames = [set(range(a, b + 1, rng.integers(1, 3))) for a, b in spans]
    identity, rank = rng.integers(0, 4, 25), rng.permutation(25)
    keeping: dict[int, set[int]] = {}
    leaving = []
    for row in np.argsort(rank):
        taken = keeping.setdefault(int(identity[row]), set())
        if identity[row] and taken & frames[row]:
            leaving.append(int(row))
        else:
            taken |= frames[row]
    pairs = sorted((frame, row) for row in range(25) for frame in frames[row])
    frame, row = np.array(pairs).T
    assert apart(frame, row, identity, rank).tolist() == sorted(leaving)
    assert leaving


def test_no_frame_is_shared() -> None:
    frame, row = np.array([1, 1, 2]), np.array([0, 1, 0])
    assert len(apart(frame, row, np.array([1, 2]), np.array([0, 1]))) == 0
    assert len(apart(frame, row, np.array([0, 0]), np.array([0, 1]))) == 0


def test_the_text_is_what_a_reader_of_motchallenge_reads(tmp_path: Path) -> None:
    path = tmp_path / "cam.csv"
    path.write_text("id;frame;left;top;width;height\n4;2;10.25;20;5;1234567.125\n9;1;1;2;3;4\n")
    boxes = read_boxes(str(path))
    text = mot_text(boxes, np.array([31, 30]))
    assert text == "1,31,1,2,3,4,-1,-1,-1,-1\n2,30,10.25,20,5,1234567.125,-1,-1,-1,-1\n"
    (tmp_path / "again.txt").write_text(text)
    again = read_boxes(str(tmp_path / "again.txt"))
    np.testing.assert_array_equal(again.box, boxes.box)
    assert again.id.tolist() == [31, 30]
