from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest
import scipy.io

from itkm_core.collections import sysu_mm01
from itkm_core.collections.known import list_collection
from itkm_core.collections.shipped import Shipped
from itkm_core.errors import CorpusError

# Persons 1 and 2 train, 4 validates, 3 and 5 test; 9 is in no split file. Camera 2 has not seen the test people.
SEEN = {
    1: {1: 2, 3: 1, 5: 3},
    2: {2: 1, 9: 1},
    3: {1: 1, 2: 1, 3: 2, 4: 1, 5: 1},
    4: {2: 1, 5: 2, 9: 1},
    5: {1: 1, 3: 4},
    6: {2: 1, 3: 1, 5: 1},
}
NAMES = [
    f"cam{camera}/{person:04d}/{number:04d}.jpg"
    for camera, people in SEEN.items()
    for person, pictures in people.items()
    for number in range(1, pictures + 1)
]
IDS = {"train": [1, 2], "val": [4], "test": [3, 5]}


@pytest.fixture
def root(tree) -> Path:
    root = Path(tree(NAMES))
    (root / "exp").mkdir()
    for split, people in IDS.items():
        (root / f"exp/{split}_id.txt").write_text(",".join(map(str, people)) + "\n")
    return root


def cell(values: list[object]) -> np.ndarray:
    """A cell array of MATLAB, as a column."""
    cells = np.empty((len(values), 1), dtype=object)
    cells[:, 0] = values
    return cells


def write_draws(root: Path, seen: dict[int, dict[int, int]], last: int = 5) -> np.ndarray:
    """rand_perm_cam.mat as the authors ship it: cells end at person `last`, and are 10 x 0 for who was not seen."""
    rng = np.random.default_rng(0)
    cells = cell(
        [
            cell(
                [
                    np.array(
                        [rng.permutation(people.get(person, 0)) + 1 for _ in range(10)]
                    ).astype(np.uint8)
                    for person in range(1, last + 1)
                ]
            )
            for people in seen.values()
        ]
    )
    scipy.io.savemat(root / "exp/rand_perm_cam.mat", {"rand_perm_cam": cells})
    return cells


def test_cameras_and_split_files_say_what_a_picture_is(root: Path) -> None:
    listing = list_collection("sysu-mm01", str(root))
    rows = {row["uri"]: row for row in listing.rows.to_pylist()}
    assert list(rows) == sorted(name for name in NAMES if "/0009/" not in name)
    assert {(row["camera"], row["group"]) for row in rows.values()} == {
        (1, 0), (2, 0), (3, 1), (4, 0), (5, 0), (6, 1)
    }  # fmt: skip
    assert {(row["person"], row["split"], row["group"]) for row in rows.values()} == {
        (1, "train", 0), (1, "train", 1), (2, "train", 0), (2, "train", 1), (4, "train", 1),
        (3, "gallery", 0), (3, "query", 1), (5, "gallery", 0), (5, "query", 1),
    }  # fmt: skip
    assert listing.left_out == {"of a person in no split file": (2, "cam2/0009/0001.jpg")}
    assert listing.draws is None


def test_split_files_may_be_mat_alone(root: Path) -> None:
    before = list_collection("sysu-mm01", str(root)).rows
    for split, people in IDS.items():
        (root / f"exp/{split}_id.txt").unlink()
        scipy.io.savemat(root / f"exp/{split}_id.mat", {"id": np.array([people], dtype=np.uint16)})
    assert list_collection("sysu-mm01", str(root)).rows.equals(before)


def test_the_published_draws_are_those_of_the_gallery(root: Path) -> None:
    cells = write_draws(root, SEEN)
    draws = list_collection("sysu-mm01", str(root)).draws.to_pylist()
    found = {
        (each["uri"].rpartition("/")[0], each["draw"], each["place"]): each["uri"] for each in draws
    }
    assert len(found) == len(draws)
    expected = {
        (f"cam{camera}/{person:04d}", draw, place): f"cam{camera}/{person:04d}/{number:04d}.jpg"
        for camera in (1, 2, 4, 5)
        for person in IDS["test"]
        for draw in range(10)
        for place, number in enumerate(cells[camera - 1, 0][person - 1, 0][draw])
    }
    assert found == expected
    assert len(expected) == 10 * (1 + 3 + 2 + 4)


def test_draws_may_end_before_the_last_person(root: Path) -> None:
    seen = {
        camera: {person: n for person, n in people.items() if person != 5}
        for camera, people in SEEN.items()
    }
    write_draws(root, seen, last=4)
    with pytest.raises(
        CorpusError, match=r"cam1/0005 has 3 pictures, and .* has draws of 0; expected as many"
    ):
        list_collection("sysu-mm01", str(root))


def test_a_half_extracted_archive_is_one_line(root: Path) -> None:
    write_draws(root, SEEN)
    (root / "cam6/0005/0001.jpg").unlink()
    with pytest.raises(
        CorpusError, match=r"cam6/0005 has 0 pictures, and exp/rand_perm_cam.mat has draws of 1"
    ):
        list_collection("sysu-mm01", str(root))
    for name in NAMES:
        if "/0004/" in name:
            (root / name).unlink()
    with pytest.raises(
        CorpusError,
        match=r"no pictures of 1 of the 5 people in its split files, such as cam\*/0004",
    ):
        list_collection("sysu-mm01", str(root))


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("exp/val_id.txt", None, "has no exp/val_id.txt; expected SYSU-MM01 as published"),
        ("exp/val_id.txt", "1 2", "exp/val_id of SYSU-MM01 does not hold people's numbers"),
        ("exp/rand_perm_cam.mat", "x", "rand_perm_cam.mat of SYSU-MM01 cannot be read as .mat"),
        ("cam3/0001/a/1.jpg", "x", "'cam3/0001/a/1.jpg' is not a name of SYSU-MM01"),
    ],
)
def test_another_layout_is_one_line(root: Path, path: str, text: str | None, message: str) -> None:
    (root / path).parent.mkdir(exist_ok=True)
    (root / path).write_text(text) if text else (root / path).unlink()
    with pytest.raises(CorpusError, match=message) as raised:
        list_collection("sysu-mm01", str(root))
    assert "\n" not in str(raised.value)


def test_a_wrong_root_is_one_line(root: Path) -> None:
    with pytest.raises(CorpusError, match=r"has no cam1 and no cam2 and .* expected SYSU-MM01"):
        list_collection("sysu-mm01", str(root / "exp"))


def test_other_variables_than_the_draws_are_refused(root: Path) -> None:
    scipy.io.savemat(root / "exp/rand_perm_cam.mat", {"id": np.arange(3)})
    with pytest.raises(
        CorpusError, match="holds no draws of SYSU-MM01; expected the variable rand_perm_cam"
    ):
        list_collection("sysu-mm01", str(root))


def test_the_published_split_and_draws(
    published, check_counts, tmp_path: Path, monkeypatch
) -> None:
    """The sizes of the draws say how many pictures each camera has of each person, 45,863 in all."""
    (tmp_path / "exp").symlink_to(published("sysu-mm01"))
    cells = scipy.io.loadmat(published("sysu-mm01/rand_perm_cam.mat"))["rand_perm_cam"]
    names = [
        f"cam{camera + 1}/{person + 1:04d}/{number + 1:04d}.jpg"
        for camera in range(6)
        for person, order in enumerate(cells[camera, 0][:, 0])
        for number in range(order.shape[1])
    ]
    assert len(names) == 30_071 + 15_792
    monkeypatch.setattr(sysu_mm01, "pictures_in", lambda *_: Shipped(sorted(names)))
    listing = sysu_mm01.read(str(tmp_path), "sysu-mm01")
    check_counts(sysu_mm01.COLLECTION, listing.rows)
    assert listing.draws.num_rows == 10 * 6_775
    assert listing.draws.filter(pc.field("place") == 0).num_rows == 10 * 301
