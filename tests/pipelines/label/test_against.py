"""`itkm label --against` on features made elsewhere; test_corpus.py has the corpus."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import made
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from itkm_core.clustering import LabelOptions, pseudo_label
from itkm_core.clustering.arrivals.label import label_arrivals
from itkm_core.errors import ConfigError, FeatureError, StorageError
from itkm_core.neighbors.nearest import nearest
from pipelines.console import Console
from pipelines.label.command import LabelRequest, label
from pipelines.label.index import read_group, read_index

OPTIONS = {"k1": 8, "k2": 2, "eps": 0.5, "min_samples": 3}
SMALL = tuple(f"labels.{name}={value}" for name, value in OPTIONS.items())
people = partial(made.people, noise=0.6, shuffled=True)


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., str]:
    """run(rows, out, *overrides, **request) -> what was printed; names of folders are those below tmp_path."""

    def call(rows: Any, out: str, *overrides: str, **request: Any) -> str:
        if isinstance(rows, pa.Table):
            request["features"] = str(tmp_path / "rows.parquet")
            pq.write_table(rows, request["features"])
        else:
            request["features"] = str(tmp_path / "rows.npy")
            np.save(request["features"], rows)
        if "ids" in request:
            np.save(tmp_path / "ids.npy", request["ids"])
            request["ids"] = str(tmp_path / "ids.npy")
        if "against" in request:
            request["against"] = str(tmp_path / request["against"])
        printed = io.StringIO()
        asked = LabelRequest(str(tmp_path / out), overrides=overrides, **request)
        label(asked, Console(file=printed, width=200))
        return printed.getvalue()

    return call


def table_of(out: Path) -> pa.Table:
    return pq.read_table(out / "pseudo_labels.parquet")


def contents(out: Path) -> dict[str, bytes]:
    files = (path for path in sorted(out.rglob("*")) if path.is_file())
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


def test_an_index_holds_what_was_labelled(run: Callable[..., str], tmp_path: Path) -> None:
    rows = people()
    ids = np.random.default_rng(1).permutation(240) + 10**12
    run(rows, "old", *SMALL, ids=ids)
    index = read_index(str(tmp_path / "old"))
    known, cameras = read_group(index.place, index.groups["features"])
    order = np.argsort(ids)
    assert cameras is None
    assert (index.next_id, index.encoder, index.labels.k1) == (10**12 + 240, None, 8)
    np.testing.assert_array_equal(known.sample_ids, ids[order])
    np.testing.assert_array_equal(known.rows, rows[order])
    np.testing.assert_array_equal(known.lists, nearest(rows[order], 8).indices)
    table = table_of(tmp_path / "old")
    np.testing.assert_array_equal(known.labels, table["label"].to_numpy()[order])
    np.testing.assert_array_equal(known.is_core, np.asarray(table["is_core"])[order])


def test_labels_are_those_of_the_library_and_arrivals_follow_one_another(
    run: Callable[..., str], tmp_path: Path
) -> None:
    rows = people()
    run(rows[:180], "old", *SMALL)
    said = run(rows[180:210], "new", against="old")
    index = read_index(str(tmp_path / "old"))
    known, _ = read_group(index.place, index.groups["features"])
    found = label_arrivals(known, rows[180:210], options=LabelOptions(**OPTIONS))
    table = table_of(tmp_path / "new")
    assert table.schema == table_of(tmp_path / "old").schema
    assert table["sample_id"].to_pylist() == list(range(180, 210))
    assert table["label"].to_pylist() == found.labels.tolist()
    assert table["is_core"].to_pylist() == found.is_core.tolist()
    np.testing.assert_array_equal(table["confidence"].to_numpy(), found.confidence)
    parameters = json.loads((tmp_path / "new" / "parameters.json").read_text())
    assert parameters["groups"]["features"] == found.parameters
    origin = {"path": str(tmp_path / "old"), "digest": index.digest, "images": 180}
    assert parameters["against"] == origin
    assert f"{found.parameters['num_joined']}" in said
    # The new folder knows the old images too.
    run(rows[210:], "newer", against="new")
    later = label_arrivals(found.known, rows[210:], options=LabelOptions(**OPTIONS))
    assert table_of(tmp_path / "newer")["label"].to_pylist() == later.labels.tolist()
    assert table_of(tmp_path / "newer")["sample_id"].to_pylist() == list(range(210, 240))


def test_the_same_command_gives_the_same_bytes(run: Callable[..., str], tmp_path: Path) -> None:
    rows = people()
    run(rows[:200], "old", *SMALL)
    before = contents(tmp_path / "old")
    run(rows[200:], "new", against="old")
    first = contents(tmp_path / "new")
    run(people(seed=1), "new", *SMALL)  # something else was there meanwhile
    run(rows[200:], "new", against="old")
    assert contents(tmp_path / "new") == first
    assert contents(tmp_path / "old") == before
    run(rows[:200], "old", *SMALL)
    assert contents(tmp_path / "old") == before


def grouped(rows: np.ndarray, ids: np.ndarray, scenarios: list[str]) -> pa.Table:
    group = pa.array(np.arange(len(rows)) % 2, pa.int8())
    columns = {"sample_id": ids, "feature": list(rows), "scenario": scenarios, "group": group}
    return pa.table(columns)


def test_each_group_is_labelled_against_its_own(run: Callable[..., str], tmp_path: Path) -> None:
    rows = people(60)
    ids = np.arange(480)
    run(grouped(rows[:300], ids[:300], ["uvi", "uvi", "ucc"] * 100), "old", *SMALL)
    scenarios = ["a/b", "uvi"] * 90
    said = run(grouped(rows[300:], ids[300:], scenarios), "new", against="old")
    table = table_of(tmp_path / "new")
    index = read_index(str(tmp_path / "old"))
    known, _ = read_group(index.place, index.groups["uvi/1"])
    mine = np.arange(301, 480, 2)
    found = label_arrivals(known, rows[mine], sample_ids=mine, options=LabelOptions(**OPTIONS))
    np.testing.assert_array_equal(table["label"].to_numpy()[1::2], found.labels)
    # A group that is new is labelled on its own.
    alone = pseudo_label(rows[mine - 1], **OPTIONS)
    np.testing.assert_array_equal(table["label"].to_numpy()[::2], alone.labels)
    assert "a/b/0: " in said
    assert "no such group" in said
    # Groups that got no image are there for the next time.
    now = read_index(str(tmp_path / "new"))
    assert sorted(now.groups) == ["a/b/0", "ucc/0", "ucc/1", "uvi/0", "uvi/1"]
    assert now.groups["ucc/0"] == index.groups["ucc/0"]
    assert read_group(now.place, now.groups["ucc/0"])[0].rows.shape == (50, 32)
    assert now.groups["uvi/1"].num_images == index.groups["uvi/1"].num_images + 90


def test_a_chosen_eps_is_kept(run: Callable[..., str], tmp_path: Path) -> None:
    rows = people()
    run(rows[:200], "old", *SMALL, "labels.eps=auto", "labels.eps_candidates=[0.35,0.45]")
    chosen = json.loads((tmp_path / "old" / "parameters.json").read_text())
    run(rows[200:], "new", against="old")
    used = json.loads((tmp_path / "new" / "parameters.json").read_text())
    eps = chosen["groups"]["features"]["eps"]
    assert used["groups"]["features"]["eps"] == eps in (0.35, 0.45)


def test_what_a_person_should_know_is_said(run: Callable[..., str], tmp_path: Path) -> None:
    rows = people(10, noise=0.3)
    run(rows, "old", *SMALL)
    far = np.eye(32, dtype=np.float32)[:2]
    assert "all new images are outliers" in run(far, "new", against="old")
    assert table_of(tmp_path / "new")["label"].to_pylist() == [-1, -1]
    # Of one of them there are three now: enough for a cluster, which the first stays out of.
    near = far[:1] + [[0.01], [0.02]] * far[1:]
    near /= np.linalg.norm(near, axis=1, keepdims=True)
    said = run(near, "two", against="new")
    assert table_of(tmp_path / "two")["label"].to_pylist() == [10, 10]
    assert "known outliers that are now near new core images: " in said
    run(rows, "wide", "labels.eps=0.7")
    copies = np.repeat(rows[:1], 500, axis=0)
    assert "one cluster holds more than half" in run(copies, "copies", against="wide")


def test_clusters_that_would_merge_are_named(run: Callable[..., str], tmp_path: Path) -> None:
    angle = np.linspace(0, 1, 36)
    line = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    later = np.arange(36) // 12 == 1
    options = ("labels.k1=5", "labels.k2=1", "labels.eps=0.7", "labels.min_samples=3")
    run(line[~later], "old", *options, ids=np.flatnonzero(~later))
    said = run(line[later], "new", against="old", ids=np.flatnonzero(later))
    assert "known clusters that now touch: 1" in said
    parameters = json.loads((tmp_path / "new" / "parameters.json").read_text())
    assert parameters["groups"]["features"]["would_merge"] == [[0, 1]]


def test_what_does_not_go_together_is_one_clear_error(
    run: Callable[..., str], tmp_path: Path
) -> None:
    rows = people()
    run(rows[:200], "old", *SMALL)
    run(grouped(rows[:200], np.arange(200), ["uvi"] * 200), "groups", *SMALL)
    before = contents(tmp_path)
    new = rows[200:]
    half = new[:, :16] / np.linalg.norm(new[:, :16], axis=1, keepdims=True)
    bad = new.copy()
    bad[3] = np.nan
    known = np.arange(190, 230)
    table = grouped(new, np.arange(200, 240), ["uvi"] * 40)
    wrong: list[tuple[Any, str, Any, tuple[str, ...], dict[str, Any]]] = [
        (FeatureError, "16 columns and the known ones 32", half, (), {}),
        (FeatureError, "hold NaN", bad, (), {}),
        (FeatureError, "--normalise divides", 2 * new, (), {}),
        (FeatureError, "no row", new[:0], (), {}),
        (FeatureError, "10 of 40 sample ids.*190; expected ids from 200", new, (), {"ids": known}),
        (FeatureError, "no scenario and group, but the new ones do", table, (), {}),
        (FeatureError, "have a scenario and a group", new, (), {"against": "groups"}),
        (ConfigError, "leave out labels.k1=3", new, ("labels.k1=3",), {}),
        (ConfigError, "leave out --recipe", new, (), {"recipe": "tiny"}),
        (ConfigError, "--sweep looks for an eps", new, (), {"sweep": "eps=0.4,0.5"}),
        (ConfigError, "is the --against folder itself", new, (), {"out": "old"}),
        (StorageError, "there is no such folder", new, (), {"against": "nowhere"}),
    ]
    for kind, said, features, overrides, request in wrong:
        out = request.pop("out", "new")
        with pytest.raises(kind, match=said):
            run(features, out, *overrides, **{"against": "old", **request})
    after = contents(tmp_path)
    same = {name for name in before if name.startswith(("old", "groups"))}
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert not (tmp_path / "new" / "pseudo_labels.parquet").exists()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def change(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    ("name", "damage", "said"),
    [
        ("features/rows.npy", cut, "cut off or damaged"),
        ("features/rows.npy", change, "not what was written"),
        ("features/rows.npy", Path.unlink, "cut off or damaged"),
        ("features/neighbours.npy", cut, "cut off or damaged"),
        ("features/neighbours.npy", change, "not what was written"),
        ("features/labels.parquet", cut, "cut off or gone"),
        ("features/labels.parquet", Path.unlink, "cut off or gone"),
        ("index.json", cut, "not JSON"),
        ("index.json", Path.unlink, "no index of their images"),
        ("index.json", lambda path: path.write_text("[]"), "version None"),
        ("index.json", lambda path: path.write_text('{"version": 2}'), "version 2"),
        ("index.json", lambda path: path.write_text('{"version": 1}'), "is damaged"),
    ],
)
def test_a_damaged_index_is_one_clear_error(
    run: Callable[..., str],
    tmp_path: Path,
    name: str,
    damage: Callable[[Path], Any],
    said: str,
) -> None:
    rows = people(10)
    run(rows[:60], "old", *SMALL)
    damage(tmp_path / "old" / "index" / name)
    with pytest.raises(StorageError, match=said):
        run(rows[60:], "new", against="old")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("groups",), {}),
        (("groups",), [1]),
        (("groups", "features"), 3),
        (("groups", "features", "folder"), 5),
        (("groups", "features", "folder"), "a\0b"),
        (("groups", "features", "largest_id"), "7"),
        (("groups", "features", "largest_id"), 2**63),
        (("groups", "features", "largest_id"), 7.5),
        (("groups", "features", "num_images"), None),
        (("groups", "features", "num_images"), True),
        (("groups", "features", "dimension"), 0),
        (("groups", "features", "parameters"), []),
        (("groups", "features", "parameters", "k1"), "8"),
        (("groups", "features", "parameters", "eps"), "auto"),
        (("groups", "features", "parameters", "recall"), "x"),
        (("groups", "features", "parameters", "backend"), 1),
        (("groups", "features", "parameters", "more"), 1),
        (("groups", "features", "digest"), 1),
        (("without_camera",), "no"),
        (("encoder",), 1),
        (("labels",), {"k1": -1}),
        (("labels",), None),
    ],
)
def test_an_index_of_other_values(
    run: Callable[..., str], tmp_path: Path, path: tuple[str, ...], value: Any
) -> None:
    rows = people(10)
    run(rows[:60], "old", *SMALL)
    file = tmp_path / "old" / "index" / "index.json"
    record = here = json.loads(file.read_text())
    *above, last = path
    for key in above:
        here = here[key]
    here[last] = value
    file.write_text(json.dumps(record))
    with pytest.raises(StorageError, match=r"index\.json is damaged \(.*label its images again"):
        run(rows[60:], "new", against="old")


def test_numbering_that_would_pass_the_largest_id(run: Callable[..., str], tmp_path: Path) -> None:
    rows = people(10)
    run(rows[:60], "old", *SMALL, ids=np.arange(60) + (2**63 - 65))
    with pytest.raises(FeatureError, match="do not end before 9223372036854775807"):
        run(rows[60:], "new", against="old")
    run(rows[60:64], "new", against="old")
    assert table_of(tmp_path / "new")["sample_id"].to_pylist()[-1] == 2**63 - 2


def test_folders_that_are_no_labels_say_what_is_expected(
    run: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "config.yaml").write_text("{}")
    (tmp_path / "empty").mkdir()
    for name, said in (("training", "--checkpoint RUN"), ("empty", "no labels there")):
        with pytest.raises(StorageError, match=said):
            run(people(), "new", against=name)


def test_a_sweep_leaves_the_index_of_the_labels_alone(
    run: Callable[..., str], tmp_path: Path
) -> None:
    rows = people()
    run(rows[:200], "old", *SMALL)
    before = contents(tmp_path / "old" / "index")
    run(rows, "old", *SMALL[:2], sweep="eps=0.4,0.5")
    assert contents(tmp_path / "old" / "index") == before
