from __future__ import annotations

import os

import numpy as np
import pytest
from made import encoded

from itkm_core.collections.folder import list_images
from itkm_core.corpus.schema import LISTING_SCHEMA
from itkm_core.errors import ConfigError, CorpusError


def test_a_tree_is_read_by_the_default_pattern(tree) -> None:
    table = list_images(tree(["UVI/1/4/b.png", "UVI/0/3/a.jpg", "UCC/0/1/c.jpg"])).rows
    assert table.schema == LISTING_SCHEMA
    assert table["uri"].to_pylist() == ["UCC/0/1/c.jpg", "UVI/0/3/a.jpg", "UVI/1/4/b.png"]
    assert table["scenario"].to_pylist() == ["UCC", "UVI", "UVI"]
    assert table["group"].to_pylist() == [0, 0, 1]
    assert table["camera"].to_pylist() == [1, 3, 4]


def test_a_scenario_given_takes_its_level_out_of_the_default(tree) -> None:
    table = list_images(tree(["1/4/b.png"]), scenario="mine").rows
    assert table["scenario"].to_pylist() == ["mine"]
    assert table["group"].to_pylist() == [1]


def test_a_scenario_given_twice_is_a_mistake(tree) -> None:
    root = tree(["UVI/a.jpg"])
    with pytest.raises(CorpusError, match="already gives each picture's scenario"):
        list_images(root, pattern="{scenario}/{name}", scenario="mine")


def test_people_and_splits_come_from_the_path(tree) -> None:
    table = list_images(
        tree(["query/ann/1_x.jpg", "train/bob/2_y.jpg"]),
        pattern="{split}/{person}/{clothes}_{name}",
    ).rows
    assert table["split"].to_pylist() == ["query", "train"]
    assert table["person"].to_pylist() == [1, 2]
    assert table["clothes"].to_pylist() == [1, 2]


def test_a_flat_folder_is_told_the_pattern_that_fits(tree) -> None:
    root = tree(["1.jpg", "2.jpg"])
    with pytest.raises(CorpusError) as caught:
        list_images(root)
    assert "2 of 2 pictures" in str(caught.value)
    assert "'{scenario}/{group}/{camera}/{name}', the first is '1.jpg'" in str(caught.value)
    assert "try --pattern '{name}' (all in scenario 'default'" in str(caught.value)
    table = list_images(root, pattern="{name}").rows
    assert set(table["scenario"].to_pylist()) == {"default"}


def test_the_suggestion_can_be_followed(tree) -> None:
    root = tree(["UVI/cam1/a.jpg", "UVI/cam2/b.jpg"])
    with pytest.raises(CorpusError) as caught:
        list_images(root)
    pattern = str(caught.value).split("'")[-2]
    assert pattern == "{scenario}/cam{camera}/{name}"
    assert list_images(root, pattern=pattern).rows["camera"].to_pylist() == [1, 2]


def test_one_stranger_among_many_is_named(tree) -> None:
    root = tree([*(f"UVI/0/1/{i}.jpg" for i in range(9)), "stray.jpg"])
    with pytest.raises(CorpusError, match=r"1 of 10 pictures .* the first is 'stray\.jpg'"):
        list_images(root)


def test_a_bad_pattern_or_group_is_refused(tree) -> None:
    root = tree(["UVI/2/1/a.jpg"])
    with pytest.raises(ConfigError, match="is unknown"):
        list_images(root, pattern="{scen}/{name}")
    with pytest.raises(CorpusError, match=r"group '2' of 'UVI/2/1/a\.jpg'; expected 0 or 1"):
        list_images(root)


def test_a_manifest_takes_the_place_of_the_pattern(tree) -> None:
    root = tree(["x/a.jpg", "b.jpg", "unlisted.jpg", "m.csv"])
    manifest = f"{root}/m.csv"
    with open(manifest, "w") as file:
        file.write("uri,scenario,group,person\nx/a.jpg,UVI,1,5\n./b.jpg,UVI,0,6\n")
    table = list_images(root, manifest=manifest).rows
    assert table["uri"].to_pylist() == ["b.jpg", "x/a.jpg"]
    assert table["person"].to_pylist() == [6, 5]


def test_a_manifest_cannot_lead_out_of_the_root(tree, tmp_path) -> None:
    root = tree(["a.jpg", "m.csv"])
    (tmp_path / "secret.jpg").write_bytes(b"x")
    for path, message in (
        ("../secret.jpg", "leads out"),
        (str(tmp_path / "secret.jpg"), "leads out"),
        ("a.jpg\na.jpg", "listed twice"),
    ):
        with open(f"{root}/m.csv", "w") as file:
            file.write(f"uri\n{path}\n")
        with pytest.raises(CorpusError, match=message):
            list_images(root, manifest=f"{root}/m.csv")


def test_a_row_behind_a_link_out_of_the_root_is_set_aside(tree, tmp_path) -> None:
    root = tree(["a.jpg", "m.csv"])
    (tmp_path / "secret.jpg").write_bytes(b"x")
    os.symlink(tmp_path / "secret.jpg", f"{root}/link.jpg")
    with open(f"{root}/m.csv", "w") as file:
        file.write("uri,scenario,camera\nlink.jpg,night,7\na.jpg,day,3\n")
    listing = list_images(root, manifest=f"{root}/m.csv")
    assert listing.rows["uri"].to_pylist() == ["a.jpg"]
    assert listing.rows["camera"].to_pylist() == [3]
    (aside,) = listing.aside
    assert (aside.uri, aside.scenario, aside.reason) == ("link.jpg", "night", "outside")


def test_what_cannot_be_used_keeps_the_scenario_that_its_path_says(tree, tmp_path) -> None:
    root = tree(["UVI/0/1/a.jpg"])
    os.symlink(tmp_path, f"{root}/UCC")
    with open(os.path.join(os.fsencode(root), b"UVI/0/1/\xe9.jpg"), "wb"):
        pass
    listing = list_images(root)
    found = {each.uri: (each.reason, each.scenario) for each in listing.aside}
    assert found == {"UCC": ("outside", ""), "UVI/0/1/\\xe9.jpg": ("bad_name", "UVI")}
    assert [each.scenario for each in list_images(root, pattern="*/*/{camera}/*").aside] == [
        "default",
        "default",
    ]


def test_pictures_of_any_suffix_are_read_unless_the_pattern_has_one(tree) -> None:
    root = tree(["1/a.jpg", "1/b.jfif", "1/c.txt"])
    for name in ("1/d", "2/e.jpg_large"):
        os.makedirs(os.path.dirname(f"{root}/{name}"), exist_ok=True)
        with open(f"{root}/{name}", "wb") as file:
            file.write(encoded(np.zeros((4, 4), np.uint8)))
    listing = list_images(root, pattern="{camera}/{person}")
    assert listing.rows["uri"].to_pylist() == ["1/a.jpg", "1/b.jfif", "1/d", "2/e.jpg_large"]
    assert listing.rows["person"].to_pylist() == [1, 2, 3, 4]
    assert dict(listing.left_out) == {"no picture": (1, "1/c.txt")}
    with pytest.raises(CorpusError, match=r"2 of 2 pictures .* do not match the pattern"):
        list_images(root, pattern="{camera}/{person}.png")


def test_tracklets_and_frames_come_from_the_path(tree) -> None:
    paths = ["c2/T01F010.jpg", "c2/T01F009.jpg", "c2/T02F009.jpg"]
    rows = list_images(tree(paths), pattern="c{camera}/T{tracklet}F{frame}").rows
    found = {row["uri"]: (row["camera"], row["tracklet"], row["frame"]) for row in rows.to_pylist()}
    assert [found[path] for path in paths] == [(2, 1, 10), (2, 1, 9), (2, 2, 9)]
