from __future__ import annotations

from pathlib import Path

import pytest

from itkm_core.collections.known import list_collection
from itkm_core.collections.market1501 import parse_name
from itkm_core.errors import CorpusError

NAMES = [
    "bounding_box_train/0002_c1s1_000451_03.jpg",
    "query/0001_c6s2_000776_00.jpg",
    "bounding_box_test/0000_c2s1_000151_01.jpg",
    "bounding_box_test/-1_c3s1_000401_03.jpg",
    "bounding_box_test/0001_c1s1_001051_02.jpg.jpg",
]


def test_the_three_folders_become_the_three_splits(tree) -> None:
    root = tree([*NAMES, "gt_bbox/0001_c1s1_001051_00.jpg", "bounding_box_test/Thumbs.db"])
    rows = {row["uri"]: row for row in list_collection("market1501", root).rows.to_pylist()}
    assert list(rows) == sorted(NAMES)
    found = [tuple(rows[name][key] for key in ("split", "person", "camera")) for name in NAMES]
    assert found == [
        ("train", 2, 1),
        ("query", 1, 6),
        ("gallery", 0, 2),
        ("gallery", -1, 3),
        ("gallery", 1, 1),
    ]
    assert {(row["scenario"], row["group"]) for row in rows.values()} == {("market1501", 0)}
    assert set(
        list_collection("market1501", root, scenario="mlr").rows["scenario"].to_pylist()
    ) == {"mlr"}
    (kind,) = list_collection("market1501", root).left_out
    assert list_collection("market1501", root).left_out[kind] == (1, "bounding_box_test/Thumbs.db")


def test_another_layout_is_one_clear_line(tree) -> None:
    root = tree(NAMES[:1])
    with pytest.raises(
        CorpusError, match="has no query and no bounding_box_test; expected Market-1501 as"
    ):
        list_collection("market1501", root)


def test_pictures_behind_a_link_out_of_the_root_are_set_aside(tree, tmp_path: Path) -> None:
    root = Path(tree(NAMES))
    (root / "query").rename(tmp_path / "elsewhere")
    (root / "query").symlink_to(tmp_path / "elsewhere")
    listing = list_collection("market1501", str(root))
    assert [(each.uri, each.reason, each.scenario) for each in listing.aside] == [
        (NAMES[1], "outside", "market1501")
    ]
    assert "leads out of the root" in listing.aside[0].detail
    assert listing.rows["uri"].to_pylist() == sorted(set(NAMES) - {NAMES[1]})


@pytest.mark.parametrize(
    "name", ["0002.jpg", "0002_c7s1_000451_03.jpg", "2_c1s1_000451_03.jpg", ""]
)
def test_another_name_is_refused(name: str) -> None:
    with pytest.raises(CorpusError, match="is not a name of Market-1501"):
        parse_name(name)


def test_the_published_training_names(published) -> None:
    names = published("market1501/train_names.txt")
    parsed = [parse_name(line.split()[0]) for line in names.read_text().splitlines()]
    assert len(parsed) == 12_936
    assert len({person for person, _ in parsed}) == 751
    assert {camera for _, camera in parsed} == {1, 2, 3, 4, 5, 6}
    assert min(person for person, _ in parsed) == 2
