"""What ingest already says of copies, people and cameras."""

from __future__ import annotations

import shutil
from pathlib import Path

from made_corpus import one_source, write_pictures

from pipelines.ingest.early_issues import issue_notes

PATHS = [
    f"{split}/{person}_{camera}/{n}.png"
    for split, people in (("train", (1, 2)), ("query", (3,)), ("gallery", (3,)))
    for person in people
    for camera in (1, 2)
    for n in range(2)
]
SOURCE = {"kind": "folder", "pattern": "{split}/{person}_{camera}/{name}", "scenario": "s"}


def test_a_corpus_in_order_has_nothing_to_say(tmp_path: Path) -> None:
    root = write_pictures(tmp_path / "p", PATHS)
    corpus = one_source(tmp_path / "corpus", path=str(root), **SOURCE)
    assert "issues" not in corpus.record
    assert list(issue_notes(corpus)) == []


def test_leaks_people_in_both_splits_and_lone_cameras_are_counted(tmp_path: Path) -> None:
    root = write_pictures(tmp_path / "p", [*PATHS, "gallery/2_1/z.png", "train/1_9/z.png"])
    for n in (0, 1):
        shutil.copy(root / f"train/1_1/{n}.png", root / f"query/3_2/{n}.png")
    corpus = one_source(tmp_path / "corpus", path=str(root), **SOURCE)
    uris = ["query/3_2/0.png", "gallery/2_1/z.png", "train/1_9/z.png"]
    words = [
        "leak: 2 test pictures that are training pictures, byte for byte",
        "person_in_both_splits: 1 people with training and test pictures",
        "lone_camera: 1 cameras with a single picture",
    ]
    assert list(issue_notes(corpus)) == [
        f"warning: {said}, such as {uri!r}; `itkm check` lists them"
        for said, uri in zip(words, uris, strict=True)
    ]


def test_a_picture_in_other_clothes_is_no_copy(tmp_path: Path) -> None:
    root = write_pictures(tmp_path / "p", [*PATHS, "train/1_9/z.png"])
    corpus = one_source(tmp_path / "corpus", path=str(root), derive="clothes", **SOURCE)
    assert corpus.in_other_clothes
    assert [each["kind"] for each in corpus.record["issues"]] == ["lone_camera"]
