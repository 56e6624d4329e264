"""Verdicts on what nodes share, from facts alone."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.doctor.judge_cluster import (
    few,
    judge_corpus,
    judge_model,
    judge_nodes,
    judge_out,
    judge_token,
    judge_versions,
)

VERSIONS = {"python": "3.11.7", "ray": "2.60.0", "numpy": "2.4.6", "itkm's code": "19107bee"}
VERSIONS |= {"torchvision": "0.29.2", "scipy": "1.17.1", "faiss": "1.15.1"}


def versions(**others: dict[str, str | None]) -> dict[str, Any]:
    """Three machines and the command; `others` says what a machine has otherwise."""
    return {name: VERSIONS | others.get(name, {}) for name in ("here", "a", "b", "c")}


def test_many_names_are_counted() -> None:
    assert few(["a", "b"]) == "a, b"
    assert few(f"10.0.0.{i}" for i in range(100)) == (
        "10.0.0.0, 10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4 and 95 more"
    )


def test_a_node_without_an_answer_is_a_fail_with_its_name() -> None:
    line = judge_nodes(["a", "b"], {"b": "no answer within 60 s"}, {"CPU": 4.0}, tasks=2)
    assert (line.verdict, line.seen) == (
        "fail",
        "1 of 2 do not answer: no answer within 60 s on b",
    )
    assert "--timeout" in line.advice


def test_nodes_are_counted_and_one_must_take_tasks() -> None:
    line = judge_nodes(["a", "b"], {}, {"CPU": 4.0, "GPU": 1.0}, tasks=1)
    assert (line.verdict, line.seen) == ("ok", "2 with 4 CPUs and 1 GPUs: a, b")
    assert judge_nodes(["a"], {}, {}, tasks=0).verdict == "fail"


def test_the_same_versions_are_one_line() -> None:
    line = judge_versions(versions())
    assert line.verdict == "ok"
    assert "ray 2.60.0" in line.seen
    assert line.advice == ""


@pytest.mark.parametrize(
    ("other", "verdict", "seen"),
    [
        ({"ray": "2.61.0"}, "fail", "ray 2.60.0 on here, a, b; 2.61.0 on c"),
        ({"itkm's code": "0badcafe"}, "fail", "itkm's code 19107bee on here, a, b; 0badcafe on c"),
        ({"numpy": None}, "fail", "numpy 2.4.6 on here, a, b; missing on c"),
        ({"python": "3.12.7"}, "fail", "python 3.11.7 on here, a, b; 3.12.7 on c"),
        ({"python": "3.11.9"}, "warn", "python 3.11.7 on here, a, b; 3.11.9 on c"),
        ({"numpy": "2.4.5"}, "warn", "numpy 2.4.6 on here, a, b; 2.4.5 on c"),
        ({"scipy": "1.16.0"}, "warn", "scipy 1.17.1 on here, a, b; 1.16.0 on c"),
        ({"faiss": "1.12.0"}, "warn", "faiss 1.15.1 on here, a, b; 1.12.0 on c"),
        ({"torchvision": "0.28.0"}, "fail", "torchvision 0.29.2 on here, a, b; 0.28.0 on c"),
    ],
)
def test_only_what_differs_is_shown_and_where(other, verdict, seen) -> None:
    line = judge_versions(versions(c=other))
    assert (line.verdict, line.seen) == (verdict, seen)
    assert line.advice


def test_a_package_that_nobody_has_is_missing() -> None:
    nobody = {"numba": None}
    line = judge_versions(versions(here=nobody, a=nobody, b=nobody, c=nobody))
    assert (line.verdict, line.seen) == ("fail", "numba missing on here, a, b, c")


def test_what_need_not_be_there_is_compared_where_it_is() -> None:
    """cuML is on machines with a GPU, and a machine that labels nothing needs no faiss."""
    found = versions(b={"cuml": "26.10.0"}, c={"cuml": "26.10.0"})
    del found["here"]["faiss"]
    line = judge_versions(found)
    assert line.verdict == "ok"
    assert line.seen.endswith("on every node and here; where installed, faiss 1.15.1, cuml 26.10.0")
    found["c"]["cuml"] = "26.4.0"
    line = judge_versions(found)
    assert (line.verdict, line.seen) == ("warn", "cuml 26.10.0 on b; 26.4.0 on c")


def test_a_node_without_token_is_a_warning() -> None:
    assert judge_token({"a": {"token": True}}).verdict == "ok"
    line = judge_token({"a": {"token": True}, "b": {"token": False}})
    assert (line.verdict, line.seen) == (
        "warn",
        "Ray was started without token authentication on b",
    )


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (
            {"a": ["a", "b"], "b": ["a", "b"], "c": ["c"]},
            "/x is not one place: a, b read what a, b wrote; c read what c wrote",
        ),
        ({"a": ["a"], "b": ["b"], "c": ["c"]}, "/x is a separate folder on each of a, b, c"),
        (
            {"a": ["a", "b", "c"], "b": ["a", "b", "c"], "c": []},
            "/x is not one place: a, b read what a, b, c wrote; c read what none wrote",
        ),
    ],
)
def test_a_folder_that_is_not_shared_is_found_out(seen, said) -> None:
    line = judge_out("/x", {}, seen)
    assert (line.verdict, line.seen) == ("fail", said)
    assert "s3://" in line.advice


def test_a_hundred_machines_with_a_folder_each_are_one_short_line() -> None:
    names = [f"10.0.0.{i}" for i in range(100)]
    line = judge_out("/x", {}, {name: [name] for name in names})
    assert line.verdict == "fail"
    assert len(line.seen) < 150


def test_a_shared_folder_is_ok_and_one_that_cannot_be_written_says_why() -> None:
    both = {"a": ["b", "a"], "b": ["a", "b"]}
    assert judge_out("/x", {}, both).verdict == "ok"
    line = judge_out("/x", {"b": "StorageError: Permission denied"}, both)
    assert line.verdict == "fail"
    assert "Permission denied on b" in line.seen


def test_a_corpus_is_the_same_everywhere_or_it_is_a_fail() -> None:
    same = {"a": {"corpus": {"digest": "d1"}}, "b": {"corpus": {"digest": "d1"}}}
    line = judge_corpus("/c", "d1", "24 training images of uvi, 1 shards", [], same)
    assert line.verdict == "ok"
    assert "24 training images of uvi, 1 shards, digest d1" in line.seen
    assert "no picture was read" in line.seen
    other = same | {"c": {"corpus": {"digest": "d2"}}}
    assert "d1 on a, b; d2 on c" in judge_corpus("/c", "d1", "", [], other).seen
    gone = same | {"c": {"corpus": {"error": "CorpusError: no corpus at /c"}}}
    assert "no corpus at /c on c" in judge_corpus("/c", "d1", "", [], gone).seen
    lost = judge_corpus("/c", "d1", "", ["shards/part-00003.parquet"], same)
    assert (lost.verdict, lost.seen) == (
        "fail",
        "/c lacks 1 of its shards: shards/part-00003.parquet",
    )


@pytest.mark.parametrize(
    ("other", "verdict", "seen"),
    [
        ({"digest": "aa of 9 bytes"}, "ok", "the same weights on every node"),
        ({"digest": "bb of 9 bytes"}, "fail", "aa of 9 bytes on a, b; bb of 9 bytes on c"),
        ({"fetchable": True}, "ok", "not yet on c, which can download it"),
        ({"missing": "w.pt is not there"}, "fail", "w.pt is not there on c"),
        ({"error": "OSError: no"}, "fail", "OSError: no on c"),
    ],
)
def test_weights_are_the_same_on_every_node_or_can_be_fetched(other, verdict, seen) -> None:
    facts = {name: {"model": {"digest": "aa of 9 bytes"}} for name in ("a", "b")}
    line = judge_model("ViT-B-16", facts | {"c": {"model": other}})
    assert line.verdict == verdict
    assert seen in line.seen
