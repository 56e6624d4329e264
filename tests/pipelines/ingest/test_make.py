from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from made import encoded
from PIL import Image

from itkm_core.corpus.images import decode_image, inspect_image
from itkm_core.corpus.schema import Corpus
from itkm_core.corpus.store import CorpusStore
from itkm_core.errors import CorpusError, StorageError
from pipelines.ingest.config import ingest_config
from pipelines.ingest.make import STAGES, ingest
from pipelines.ingest.tables import summary_notes, summary_rows

PATHS = [
    f"{scenario}/{group}/{camera}/{i}.png"
    for scenario in ("UVI", "UCC")
    for group in (0, 1)
    for camera in (1, 2)
    for i in range(9)
]


@pytest.fixture(autouse=True)
def _needs_ray(local_ray: None) -> None:
    """Every test here uses the session's Ray."""


pytestmark = pytest.mark.ray


def folder(path, **source):
    return {"kind": "folder", "path": str(path), **source}


def config(*sources, **values):
    return ingest_config(sources=list(sources), **values)


class Stages:
    """A progress callback that remembers its calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int, int]] = []

    def __call__(self, stage: str, done: int, total: int) -> None:
        assert stage in STAGES
        self.calls.append((stage, done, total))

    def names(self) -> list[str]:
        return list(dict.fromkeys(stage for stage, _, _ in self.calls))


def naive_rows(root: Path) -> list[dict]:
    """The slow twin: one loop over the files, in the order of their paths."""
    rows = []
    for file in sorted(root.rglob("*.png"), key=lambda file: str(file.relative_to(root))):
        uri = str(file.relative_to(root))
        scenario, group, camera, _ = uri.split("/")
        data = file.read_bytes()
        with Image.open(io.BytesIO(data)) as image:
            width, height = image.size
        rows.append(
            {
                "sample_id": len(rows),
                "image": data,
                "uri": uri,
                "scenario": scenario,
                "group": int(group),
                "camera": int(camera),
                "tracklet": -1,
                "frame": -1,
                "split": "train",
                "height": height,
                "width": width,
            }
        )
    return rows


def all_rows(corpus: Corpus) -> list[dict]:
    return [row for path in corpus.shard_paths() for row in pq.read_table(path).to_pylist()]


def test_a_tree_becomes_a_corpus(picture_tree, tmp_path: Path) -> None:
    root = picture_tree(PATHS)
    stages = Stages()
    corpus = ingest(config(folder(root), shard_bytes=5000), tmp_path / "corpus", progress=stages)
    assert all_rows(corpus) == naive_rows(root)
    assert len(corpus.shards) > 3
    assert corpus.identities() is None
    assert corpus.rejected().num_rows == 0
    assert stages.names() == ["list", "inspect", "write"]
    assert [calls for calls in stages.calls if calls[1] == calls[2] == len(PATHS)]
    done = [done for stage, done, _ in stages.calls if stage == "inspect"]
    assert done == sorted(done)
    assert done[-1] == len(PATHS)
    assert set(os.listdir(tmp_path)) == {"pictures", "corpus"}
    store = CorpusStore(corpus, tmp_path / "cache")
    ids = np.random.default_rng(0).permutation(corpus.num_images)
    images = [bytes(image) for image in store.images(ids)]
    assert images == [naive_rows(root)[i]["image"] for i in ids]


def test_the_same_pictures_give_the_same_bytes(picture_tree, tmp_path: Path) -> None:
    root = picture_tree(PATHS)
    one = ingest(config(folder(root), shard_bytes=5000), tmp_path / "one")
    two = ingest(config(folder(root), shard_bytes=5000), tmp_path / "two")
    assert one.digest == two.digest
    for a, b in zip(one.shard_paths(), two.shard_paths(), strict=True):
        assert Path(a).read_bytes() == Path(b).read_bytes()


def test_the_summary_counts(picture_tree, tmp_path: Path) -> None:
    corpus = ingest(config(folder(picture_tree(PATHS))), tmp_path / "corpus")
    rows = summary_rows(corpus)
    assert [(row["scenario"], row["group"]) for row in rows] == corpus.groups()
    assert {row["num_images"] for row in rows} == {18}
    assert {row["num_cameras"] for row in rows} == {2}
    assert {(row["min_height"], row["max_height"]) for row in rows} == {(16, 16)}


def spoil(root: Path) -> dict[str, str]:
    """Spoil one file in each way. Returns the expected reason of each URI."""
    files = sorted(root.rglob("*.png"))
    good = files[0].read_bytes()
    frames = [Image.fromarray(np.full((4, 4), shade, np.uint8)) for shade in (0, 99)]
    ways = {
        "empty": b"",
        "truncated": good[: len(good) // 2],
        "unreadable": b"not a picture",
        "animated": encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "too_many_pixels": encoded(np.zeros((40, 40), np.uint8)),
        "too_many_bytes": good + b"\0" * 2000,
    }
    for file, data in zip(files[3:], ways.values(), strict=False):
        file.write_bytes(data)
    return {
        str(file.relative_to(root)): reason for file, reason in zip(files[3:], ways, strict=False)
    }


def test_bad_pictures_are_set_aside_with_their_reason(picture_tree, tmp_path: Path) -> None:
    root = picture_tree(PATHS)
    expected = spoil(root)
    limits = {"max_pixels": 200, "max_bytes": 2000, "max_rejected_fraction": 0.1}
    corpus = ingest(config(folder(root), **limits), tmp_path / "corpus")
    rejected = {row["uri"]: row["reason"] for row in corpus.rejected().to_pylist()}
    assert rejected == expected
    assert corpus.record["num_rejected"] == dict.fromkeys(sorted(expected.values()), 1)
    detail = {row["reason"]: row["detail"] for row in corpus.rejected().to_pylist()}
    assert detail["unreadable"] == "not a picture of a known format"
    assert "truncated" in detail["truncated"]
    assert detail["too_many_pixels"] == "40 x 40 > 200"
    uris = corpus.index(["uri"])["uri"].to_pylist()
    assert uris == sorted(set(PATHS) - set(expected))


def test_too_many_bad_pictures_stop_it_with_the_counts(picture_tree, tmp_path: Path) -> None:
    root = picture_tree(PATHS)
    for file in sorted(root.rglob("*.png"))[:2]:
        file.write_bytes(b"")
    with pytest.raises(CorpusError) as caught:
        ingest(config(folder(root)), tmp_path / "corpus")
    message = "2 of 72 pictures cannot be used (2 empty), the first is 'UCC/0/1/0.png'"
    assert message in str(caught.value)
    assert "max_rejected_fraction = 0.01 allows 1 %" in str(caught.value)
    assert os.listdir(tmp_path) == ["pictures"]
    # The bound itself is allowed.
    exact = config(folder(root), max_rejected_fraction=2 / 72)
    assert ingest(exact, tmp_path / "corpus").num_images == 70


def test_no_good_picture_is_no_corpus(picture_tree, tmp_path: Path) -> None:
    root = picture_tree(PATHS[:2])
    for file in root.rglob("*.png"):
        file.write_bytes(b"x")
    with pytest.raises(CorpusError, match="2 of 2 pictures cannot be used"):
        ingest(config(folder(root), max_rejected_fraction=1), tmp_path / "corpus")


def test_the_same_command_again_reuses(picture_tree, tmp_path: Path) -> None:
    root = picture_tree(PATHS)
    first = ingest(config(folder(root)), tmp_path / "corpus")
    times = {path: os.stat(path).st_mtime_ns for path in first.shard_paths()}
    stages = Stages()
    again = ingest(config(folder(root)), tmp_path / "corpus", progress=stages)
    assert stages.names() == ["list", "reused"]
    # Other modification times: the pictures are read again and found to be the same.
    os.utime(root / PATHS[0], ns=(1, 1))
    stages = Stages()
    third = ingest(config(folder(root)), tmp_path / "corpus", progress=stages)
    assert stages.names() == ["list", "inspect", "reused"]
    # Nor does it matter where the same pictures lie.
    root.rename(tmp_path / "moved")
    fourth = ingest(config(folder(tmp_path / "moved")), tmp_path / "corpus")
    assert first == again == third == fourth
    assert times == {path: os.stat(path).st_mtime_ns for path in first.shard_paths()}


def test_another_corpus_in_the_place_is_refused_with_what_differs(
    picture_tree, tmp_path: Path
) -> None:
    root, out = picture_tree(PATHS), tmp_path / "corpus"
    corpus = ingest(config(folder(root)), out)
    with pytest.raises(CorpusError, match=r"shard_bytes: 134217728 there, 9 now"):
        ingest(config(folder(root), shard_bytes=9), out)
    with pytest.raises(CorpusError, match=r"sources\.0\.pattern: None there, '\{scenario\}/\*/"):
        ingest(config(folder(root, pattern="{scenario}/*/*/{name}")), out)
    new = root / "UVI/0/1/new.png"
    new.write_bytes((root / PATHS[0]).read_bytes())
    with pytest.raises(CorpusError, match=r"1 pictures are new and 0 are gone, such as new: 'UVI"):
        ingest(config(folder(root)), out)
    new.unlink()
    # Same length, other pixels: only reading it tells.
    data = bytearray((root / PATHS[3]).read_bytes())
    other = encoded(np.zeros((1, 1), np.uint8))
    (root / PATHS[3]).write_bytes(other + b"\0" * (len(data) - len(other)))
    assert inspect_image((root / PATHS[3]).read_bytes(), config(folder(root)).limits) == (1, 1)
    with pytest.raises(CorpusError, match="before some of the pictures changed"):
        ingest(config(folder(root)), out)
    assert Corpus.open(out) == corpus


def test_a_picture_that_changes_meanwhile_leaves_nothing_half_written(
    picture_tree, tmp_path: Path
) -> None:
    root = picture_tree(PATHS)

    def change(stage: str, done: int, total: int) -> None:
        if stage == "inspect" and done == total:
            (root / PATHS[5]).write_bytes((root / PATHS[6]).read_bytes())

    with pytest.raises(StorageError, match=f"{PATHS[5]} changed while it was being ingested"):
        ingest(config(folder(root)), tmp_path / "corpus", progress=change)
    assert os.listdir(tmp_path) == ["pictures"]


def test_an_interrupted_ingest_starts_anew(picture_tree, tmp_path: Path) -> None:
    root = picture_tree(PATHS)

    def interrupt(stage: str, done: int, total: int) -> None:
        if stage == "write":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest(config(folder(root)), tmp_path / "corpus", progress=interrupt)
    assert not (tmp_path / "corpus").exists()
    assert all_rows(ingest(config(folder(root)), tmp_path / "corpus")) == naive_rows(root)


def test_a_joint_corpus_of_several_kinds(picture_tree, tmp_path: Path) -> None:
    market = picture_tree(
        [
            "bounding_box_train/0002_c1s1_000451_03.jpg",
            "query/0001_c6s2_000776_00.jpg",
            "bounding_box_test/-1_c3s1_000401_03.jpg",
        ],
        name="market",
    )
    near = picture_tree(["1/a.png", "2/b.png"], height=64, name="mixed")
    picture_tree(["1/c.png"], height=20, name="mixed")
    manifest = tmp_path / "mixed" / "list.csv"
    manifest.write_text("uri,camera,person\n1/a.png,1,ann\n1/c.png,1,\n2/b.png,2,bob\n")
    corpus = ingest(
        config(
            {
                "kind": "market1501",
                "path": str(market),
                "group_by": {"by": "camera", "cameras": [6]},
            },
            folder(manifest, scenario="ucr", group_by={"by": "resolution", "below": 40}),
        ),
        tmp_path / "corpus",
    )
    assert near == tmp_path / "mixed"
    index = corpus.index().to_pylist()
    people = corpus.identities().to_pylist()
    found = [
        (row["uri"], row["scenario"], row["group"], row["split"], who["person"])
        for row, who in zip(index, people, strict=True)
    ]
    assert found == [
        ("bounding_box_test/-1_c3s1_000401_03.jpg", "market1501", 0, "gallery", -1),
        ("bounding_box_train/0002_c1s1_000451_03.jpg", "market1501", 0, "train", 2),
        ("query/0001_c6s2_000776_00.jpg", "market1501", 1, "query", 1),
        ("1/a.png", "ucr", 0, "train", 1),
        ("1/c.png", "ucr", 1, "train", -1),
        ("2/b.png", "ucr", 0, "train", 2),
    ]
    assert corpus.scenarios == ("market1501", "ucr")
    (kept,) = corpus.collections().values()
    assert [kept[key] for key in ("scenario", "collection", "variant")] == ["market1501"] * 2 + [""]
    assert (kept["counts"][0]["images"], kept["counts"][0]["published_images"]) == (1, 12_936)


def test_a_listed_picture_that_is_not_there_is_set_aside(picture_tree, tmp_path: Path) -> None:
    root = picture_tree(["a.png", "b.png"])
    (root / "m.csv").write_text("uri\na.png\nb.png\ngone.png\n")
    corpus = ingest(config(folder(root / "m.csv"), max_rejected_fraction=0.5), tmp_path / "corpus")
    assert corpus.rejected().to_pylist() == [
        {"uri": "gone.png", "scenario": "default", "reason": "missing", "detail": ""}
    ]


def test_faults_of_the_sources_leave_nothing(picture_tree, tmp_path: Path) -> None:
    root = picture_tree(PATHS)
    (tmp_path / "empty").mkdir()
    for sources, message in (
        ([folder(tmp_path / "empty")], "no pictures in"),
        ([folder(root), folder(root)], "have the same name"),
        ([folder(root, pattern="{name}")], "do not match the pattern"),
    ):
        with pytest.raises(CorpusError, match=message):
            ingest(config(*sources), tmp_path / "out" / "corpus")
    assert set(os.listdir(tmp_path)) == {"pictures", "empty"}


def test_one_bad_name_or_link_among_many_is_set_aside(picture_tree, tmp_path: Path) -> None:
    root = picture_tree(PATHS)
    for name in (b"UVI/0/1/\xff.png", b"UVI/0/1/\xfe.txt"):
        with open(os.path.join(os.fsencode(root), name), "wb") as file:
            file.write(b"x")
    (tmp_path / "other.png").write_bytes((root / PATHS[0]).read_bytes())
    (root / "UCC" / "away.png").symlink_to(tmp_path / "other.png")
    with pytest.raises(
        CorpusError, match=r"2 of 74 .*\(1 outside, 1 bad_name\)|\(1 bad_name, 1 outside\)"
    ):
        ingest(config(folder(root)), tmp_path / "corpus")
    corpus = ingest(config(folder(root), max_rejected_fraction=0.03), tmp_path / "corpus")
    assert [row["uri"] for row in all_rows(corpus)] == sorted(PATHS)
    found = {(row["uri"], row["reason"], row["scenario"]) for row in corpus.rejected().to_pylist()}
    assert found == {("UVI/0/1/\\xff.png", "bad_name", "UVI"), ("UCC/away.png", "outside", "")}
    notes = list(summary_notes(corpus))
    assert notes[0].startswith("set aside: 1 bad_name, 1 outside, such as ")
    assert notes[1] == f"left out of {root}: 'UVI/0/1/\\\\xfe.txt': no picture"
    again = ingest(config(folder(root), max_rejected_fraction=0.03), tmp_path / "corpus")
    assert again == corpus
    (root / "UCC" / "away.png").unlink()
    with pytest.raises(CorpusError, match="0 pictures are new and 1 are gone"):
        ingest(config(folder(root), max_rejected_fraction=0.03), tmp_path / "corpus")


def test_cameras_with_names(picture_tree, tmp_path: Path) -> None:
    root = picture_tree([f"{name}.png" for name in "abcd"])
    (root / "m.csv").write_text("uri,camera\na.png,cam10\nb.png,cam9\nc.png, cam9\nd.png,yard\n")
    by = {"by": "camera", "cameras": ["cam10", "yard"]}
    corpus = ingest(config(folder(root / "m.csv", group_by=by)), tmp_path / "corpus")
    assert corpus.index(["camera"])["camera"].to_pylist() == [2, 1, 1, 3]
    assert corpus.index(["group"])["group"].to_pylist() == [1, 0, 0, 1]
    assert corpus.record["camera_names"] == {"default": {"1": "cam9", "2": "cam10", "3": "yard"}}
    assert "cameras of default, numbered by name: 1 = cam9, 2 = cam10, 3 = yard" in list(
        summary_notes(corpus)
    )


@pytest.mark.parametrize(("depth", "top"), [(None, 15), (12, 240), ("auto", 240), (16, 15)])
def test_thermal_pictures_of_twelve_bits(picture_tree, tmp_path: Path, depth, top: int) -> None:
    root = picture_tree(["colour.png"])
    levels = np.linspace(231, 3855, 128).astype(np.uint16).reshape(16, 8)
    (root / "a.png").write_bytes(encoded(Image.fromarray(levels)))
    source = folder(root, pattern="{name}", **({} if depth is None else {"depth": depth}))
    corpus = ingest(config(source), tmp_path / "corpus")
    pixels = decode_image(CorpusStore(corpus, tmp_path / "cache").images([0])[0], (16, 8))
    assert (pixels.min(), pixels.max()) == (top * 14 // 240, top)
    assert all_rows(corpus)[1]["image"] == (root / "colour.png").read_bytes()
    sizes = [shard["num_image_bytes"] for shard in corpus.record["shards"]]
    assert sizes == [sum(len(row["image"]) for row in all_rows(corpus))]
    assert [row["height"] for row in all_rows(corpus)] == [16, 16]
    (fact,) = corpus.record["sixteen_bit"]
    assert fact["num"], fact["low"] == (1, 231)
    said = [note for note in summary_notes(corpus) if note.startswith("warning")]
    assert bool(said) == (top == 15)
    if said:
        assert "values from 231 to 3,855 of 65,535, and become 8-bit grey from 0 to 15" in said[0]
        assert "depth: 12 (or auto)" in said[0]
    assert ingest(config(source), tmp_path / "corpus") == corpus


def test_a_depth_that_is_too_small(picture_tree, tmp_path: Path) -> None:
    root = picture_tree(["colour.png"])
    (root / "a.png").write_bytes(encoded(Image.fromarray(np.full((4, 4), 5000, np.uint16))))
    with pytest.raises(CorpusError, match=r"depth: 12 allows .* 4,095, but 'a\.png' holds 5,000"):
        ingest(config(folder(root, pattern="{name}", depth=12)), tmp_path / "corpus")


def test_names_with_odd_characters_arrive(picture_tree, tmp_path: Path) -> None:
    names = ["a b#%20?.png", "é ü.png", "-x'\".png", "$(x);.png"]
    root = picture_tree(names, name="a b")
    for number, path in enumerate([root, root.as_uri()]):
        corpus = ingest(config(folder(path, pattern="{name}")), tmp_path / f"c{number}")
        found = {row["uri"]: row["image"] for row in all_rows(corpus)}
        assert found == {name: (root / name).read_bytes() for name in names}


def test_workers_import_nothing_heavy() -> None:
    code = "import sys, pipelines.ingest.tasks; print([m for m in ('torch', 'pandas', 'ray') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
