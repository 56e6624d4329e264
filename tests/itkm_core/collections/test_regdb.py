from __future__ import annotations

from pathlib import Path

import pytest

from itkm_core.collections import regdb
from itkm_core.collections.known import list_collection
from itkm_core.collections.split_files import read_lists
from itkm_core.errors import CorpusError

# Who trains, by trial; the others are tested.
TRAIN = {"1": (2, 10), "10": (1, 10)}
PEOPLE = (1, 2, 10)


def name(kind: str, person: int, picture: int) -> str:
    return f"{kind}/{person}/male_front_{kind[0].lower()}_{picture:05d}_{person}.bmp"


NAMES = [
    name(kind, person, picture)
    for kind in ("Visible", "Thermal")
    for person in PEOPLE
    for picture in (7, 11)
]


@pytest.fixture
def root(tree) -> Path:
    root = Path(tree([*NAMES, "Visible/3/male_front_v_00001_3.bmp", "Thermal/Thumbs.db"]))
    (root / "idx").mkdir()
    for trial, train in TRAIN.items():
        for half, people in (("train", train), ("test", set(PEOPLE) - set(train))):
            for kind in ("visible", "thermal"):
                lines = [
                    f"{each} {label}\n"
                    for label, person in enumerate(sorted(people))
                    for each in NAMES
                    if each.startswith(f"{kind.capitalize()}/{person}/")
                ]
                (root / f"idx/{half}_{kind}_{trial}.txt").write_text("".join(lines))
    return root


@pytest.mark.parametrize("trial", ["1", "10"])
def test_a_trial_halves_the_people(root: Path, trial: str) -> None:
    listing = list_collection("regdb", str(root), variant=trial)
    found = {
        tuple(row[key] for key in ("uri", "split", "group", "camera", "person"))
        for row in listing.rows.to_pylist()
    }
    assert found == {
        (each, "train" if person in TRAIN[trial] else test, group, group + 1, person)
        for kind, group, test in (("Visible", 0, "gallery"), ("Thermal", 1, "query"))
        for person in PEOPLE
        for each in NAMES
        if each.startswith(f"{kind}/{person}/")
    }
    assert listing.left_out["in no split file"] == (1, "Visible/3/male_front_v_00001_3.bmp")


def test_the_first_trial_is_the_default(root: Path) -> None:
    assert list_collection("regdb", str(root)).rows.equals(
        list_collection("regdb", str(root), variant="1").rows
    )


def test_what_is_missing_is_one_line(root: Path) -> None:
    with pytest.raises(
        CorpusError, match=r"has no idx/train_visible_2.txt and no .* expected RegDB as published"
    ):
        list_collection("regdb", str(root), variant="2")
    (root / NAMES[3]).unlink()
    with pytest.raises(
        CorpusError, match=f"lacks 1 of the 12 pictures .* RegDB name, the first of them {NAMES[3]}"
    ):
        list_collection("regdb", str(root))
    (root / "Thermal").rename(root / "thermal")
    with pytest.raises(CorpusError, match="has no Thermal; expected RegDB"):
        list_collection("regdb", str(root))


def test_another_path_is_refused(root: Path) -> None:
    (root / "Visible/1.bmp").touch()
    (root / "idx/test_visible_1.txt").write_text("Visible/1.bmp 0\n")
    with pytest.raises(
        CorpusError,
        match=r"'Visible/1.bmp' is not a name of RegDB; expected one such as Visible/88/",
    ):
        list_collection("regdb", str(root))


def test_the_published_trials(published, check_counts, tmp_path: Path) -> None:
    (tmp_path / "idx").symlink_to(published("regdb"))
    trials = {
        trial: read_lists(str(tmp_path), regdb.trial_lists(trial), regdb.TITLE)
        for trial in regdb.TRIALS
    }
    assert [len(listed) for listed in trials.values()] == 10 * [412 * 20]
    for name in trials["2"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    rows = list_collection("regdb", str(tmp_path), variant="10").rows
    check_counts(regdb.COLLECTION, rows, "10")
