from __future__ import annotations

import pytest

from itkm_core.collections.listing import check_listing, check_scenarios, make_listing
from itkm_core.corpus.schema import LISTING_SCHEMA
from itkm_core.errors import CorpusError


def listing(**fields):
    num = len(next(iter(fields.values())))
    return make_listing([f"{i}.jpg" for i in range(num)], fields, source="here").rows


def test_what_is_not_said_has_its_default() -> None:
    table = make_listing(["b.jpg", "a.jpg"], {}, source="here").rows
    assert table.schema == LISTING_SCHEMA
    assert table.to_pylist() == [
        {
            "uri": uri,
            "scenario": "default",
            "group": 0,
            "camera": -1,
            "tracklet": -1,
            "frame": -1,
            "split": "train",
            "person": -1,
            "clothes": -1,
        }
        for uri in ("a.jpg", "b.jpg")
    ]
    given = make_listing(["a.jpg"], {}, source="x", scenario="s").rows
    assert given["scenario"].to_pylist() == ["s"]


def test_empty_values_are_unknown() -> None:
    table = listing(camera=["3", None], split=[None, "query"], person=["", "9"], group=["1", ""])
    assert table["camera"].to_pylist() == [3, -1]
    assert table["split"].to_pylist() == ["train", "query"]
    assert table["person"].to_pylist() == [-1, 9]
    assert table["group"].to_pylist() == [1, 0]


@pytest.mark.parametrize(
    ("texts", "people"),
    [
        (["0002", "12", "2"], [2, 12, 2]),
        (["0", "7", "0"], [1, 8, 1]),
        (["-1", "5", "-7"], [-1, 5, -1]),
        (["-1", "0", "5"], [-1, 1, 6]),
        (["bob", "ann", "bob"], [2, 1, 2]),
        (["b2", "1", "10"], [3, 1, 2]),
        (["1_0", "10"], [1, 2]),
        ([" 2", "2 ", "\t2"], [2, 2, 2]),
        (["3.0", "3", "12."], [3, 3, 12]),
        (["-1.0", "1.0", "-3"], [-1, 1, -1]),
        (["-1", "ann", "-1.0", " "], [-1, 1, -1, -1]),
        (["p10", "p2", "p1"], [3, 2, 1]),
        (["a", "a1", "a01"], [1, 3, 2]),
        (["3.0", "3", "x"], [1, 1, 2]),
        (["null", "NA", "nan", None], [3, 1, 2, -1]),
        (["1.5", "2"], [1, 2]),
        (["1e3", "2"], [1, 2]),
        (["٣", "2"], [2, 1]),
        ([str(2**63 - 1), "1"], [2**63 - 1, 1]),
        (["0" * 30 + "2"], [2]),
    ],
)
def test_people_are_numbers_or_are_numbered(texts, people) -> None:
    assert listing(person=texts)["person"].to_pylist() == people


def test_cameras_and_clothes_may_be_zero() -> None:
    table = listing(camera=["0", "3", "-1"], clothes=["0", "1", ""])
    assert table["camera"].to_pylist() == [0, 3, -1]
    assert table["clothes"].to_pylist() == [0, 1, -1]
    assert listing(camera=["north", "east"])["camera"].to_pylist() == [2, 1]
    assert listing(camera=[str(2**40), "1"])["camera"].to_pylist() == [2, 1]


def test_names_of_cameras_are_kept_and_numbers_need_none() -> None:
    def names(*cameras: str) -> dict[int, str]:
        uris = [f"{i}.jpg" for i in range(len(cameras))]
        return dict(make_listing(uris, {"camera": cameras}, source="here").camera_names)

    assert names("cam10", "cam2", "-1", "") == {1: "cam2", 2: "cam10"}
    assert names("c1", "2", "3.0", " 10") == {1: "2", 2: "3", 3: "10", 4: "c1"}
    assert names("1.0", " 2", "-1.0", "") == {}
    assert names(str(2**40), "01") == {1: "1", 2: str(2**40)}


@pytest.mark.parametrize("field", ["camera", "person", "clothes"])
@pytest.mark.parametrize("text", [str(2**63), "18446744073709551615.0", "9" * 5000, f"-{2**63}"])
def test_a_number_that_int64_cannot_hold_is_refused(field: str, text: str) -> None:
    with pytest.raises(CorpusError, match=rf"here: {field} '{text[:40]}' of '1\.jpg'; expected"):
        listing(**{field: ["1", text, "x"]})


def test_nor_one_that_would_have_to_move_up() -> None:
    with pytest.raises(CorpusError, match=r"person '09223372036854775807' of '1\.jpg'"):
        listing(person=["0", "09223372036854775807"])


def test_groups_and_splits_may_have_blanks_and_be_floats() -> None:
    table = listing(
        group=["1.0", " 0", "0.0"], split=[" train", "query ", " "], scenario=[" a ", "NA", ""]
    )
    assert table["group"].to_pylist() == [1, 0, 0]
    assert table["split"].to_pylist() == ["train", "query", "train"]
    assert table["scenario"].to_pylist() == ["a", "NA", "default"]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (
            "group",
            "2",
            "group '2' of '1.jpg'; expected 0 or 1; .*group_names",
        ),
        ("group", "infrared", "group 'infrared'"),
        ("split", "test", "split 'test' of '1.jpg'; expected train or query or gallery"),
        ("scenario", "a/b", "scenario 'a/b' of '1.jpg'; expected letters, digits"),
        ("scenario", "x" * 65, "at most 64"),
    ],
)
def test_a_bad_value_names_the_picture(field: str, value: str, message: str) -> None:
    with pytest.raises(CorpusError, match=f"here: .*{message}|here: {message}"):
        listing(**{field: [None, value]})


def test_words_may_name_the_groups() -> None:
    table = make_listing(
        ["a.jpg", "b.jpg"],
        {"group": ["visible", "infrared"]},
        source="here",
        group_names={"visible": 0, "infrared": 1},
    ).rows
    assert table["group"].to_pylist() == [0, 1]


@pytest.mark.parametrize("other", ["UVI", "uvi", "Uvi"])
def test_two_sources_cannot_share_a_scenario(other: str) -> None:
    with pytest.raises(CorpusError, match=rf"scenario '{other}' of B and scenario 'UVI' of A"):
        check_scenarios([("A", listing(scenario=["UVI"])), ("B", listing(scenario=[other]))])


def test_nor_can_two_folders_of_one_source() -> None:
    with pytest.raises(CorpusError, match="have the same name"):
        check_scenarios([("A", listing(scenario=["UVI", "uvi"]))])
    check_scenarios([("A", listing(scenario=["UVI", "UCC"])), ("B", listing(scenario=["UV"]))])


def test_accents_written_in_two_ways_are_one_name() -> None:
    with pytest.raises(CorpusError, match="have the same name"):
        check_scenarios(
            [
                ("A", listing(scenario=["caf\u00e9"])),
                ("B", listing(scenario=["cafe"])),
                ("C", listing(scenario=["CAF\u00c9"])),
            ]
        )


def test_a_listing_from_elsewhere_is_checked() -> None:
    good = listing(group=["0", "1"])
    check_listing(good, "m")
    with pytest.raises(CorpusError, match="m has columns"):
        check_listing(good.drop_columns("camera"), "m")
    place = good.schema.get_field_index("split")
    with pytest.raises(CorpusError, match="m: split 'x'; expected train or query or gallery"):
        check_listing(good.set_column(place, good.schema.field("split"), [["train", "x"]]), "m")
    with pytest.raises(CorpusError, match="column split has 1 empty"):
        check_listing(good.set_column(place, good.schema.field("split"), [["train", None]]), "m")


@pytest.mark.parametrize("name", ["..", ".", "a/b", "a\\b", ""])
def test_a_scenario_given_for_all_pictures_is_a_name_too(name: str) -> None:
    given = make_listing(["a.jpg"], {}, source="x", scenario=name).rows
    if name == "":  # as if none were given
        assert given["scenario"].to_pylist() == ["default"]
        return
    with pytest.raises(CorpusError, match="expected letters, digits"):
        check_scenarios([("A", given)])


def test_tracklets_and_frames_may_be_names_and_have_gaps() -> None:
    uris = ["a", "b", "c", "d"]
    fields = {
        "tracklet": ["walk10", "walk2", " ", "walk2"],
        "frame": ["00:10", "00:09.5", None, "00:9"],
    }
    rows = make_listing(uris, fields, source="here").rows
    assert rows["tracklet"].to_pylist() == [2, 1, -1, 1]
    assert rows["frame"].to_pylist() == [3, 2, -1, 1]
