"""Changed and damaged corpus.json and index.json: refused with an error of ours, or read as they are."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

from fuzz import UNDAMAGED, damaged, damages, fuzz, mostly, read_or_refuse, words
from hypothesis import given
from hypothesis import strategies as st

from itkm_core.corpus.schema import Corpus
from pipelines.label.index import PARAMETERS, VERSION, Index, read_index

RECORD = {
    "schema_version": 1,
    "num_images": 5,
    "digest": "0123456789abcdef",
    "counts": [
        {"scenario": "uvi", "group": group, "split": "train", "num_images": 2 + group}
        for group in (0, 1)
    ],
    "has_identities": False,
    "num_rejected": {},
    "shards": [{"path": "shards/part-00000.parquet", "num_rows": 5, "num_image_bytes": 9}],
}
INDEX = {
    "version": VERSION,
    "labels": {"k1": 8},
    "without_camera": False,
    "encoder": None,
    "groups": {
        "uvi/0": {
            "folder": "uvi-0",
            "parameters": dict(zip(PARAMETERS, (8, 2, 0.5, 3, "auto", 0.99), strict=True)),
            "num_images": 5,
            "dimension": 4,
            "largest_id": 7,
            "digest": "0123",
        }
    },
}
json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-2, 9),
        st.integers(),
        st.floats(),
        words,
        st.sampled_from(["..", "/", "uvi", "train", "auto", "shards/x", "a\\b"]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(words, inner, max_size=3)),
    max_leaves=5,
)


@st.composite
def changed_json(draw: st.DrawFn, record: dict[str, Any]) -> bytes:
    """The record with values, at any depth, that are others, gone or new; sometimes with damaged bytes."""
    record = copy.deepcopy(record)
    for _ in range(draw(mostly(st.integers(0, 1), st.integers(2, 4)))):
        here: Any = record
        while True:
            places = list(here) if isinstance(here, dict) else list(range(len(here)))
            if not places:
                break
            place = draw(st.sampled_from(places))
            if isinstance(here[place], dict | list) and draw(st.booleans()):
                here = here[place]
                continue
            if draw(st.integers(0, 4)) == 0:
                del here[place]
            else:
                here[place] = draw(json_values)
            break
    whole = json.dumps(record, ensure_ascii=draw(st.booleans())).encode("utf-8", "replace")
    return damaged(whole, draw(mostly(st.just(UNDAMAGED), damages)))


@fuzz
@given(changed_json(RECORD))
def test_records_of_a_corpus(folder: Path, data: bytes) -> None:
    (folder / "corpus.json").write_bytes(data)
    corpus = read_or_refuse(lambda: Corpus.open(folder))
    if corpus is not None:
        assert corpus.num_images == sum(corpus.counts.values()) == sum(corpus.shard_rows)
        assert {type(number) for number in (*corpus.counts.values(), *corpus.shard_rows)} <= {int}
        corpus.groups()
        for path in corpus.shard_paths():
            assert os.path.realpath(path).startswith(f"{os.path.realpath(folder)}/")


@fuzz
@given(changed_json(INDEX))
def test_records_of_an_index(folder: Path, data: bytes) -> None:
    (folder / "index").mkdir(exist_ok=True)
    (folder / "index" / "index.json").write_bytes(data)
    index = read_or_refuse(lambda: read_index(str(folder)))
    if index is not None:
        assert isinstance(index, Index)
        assert 1 - 2**63 <= index.next_id <= 2**63
        assert all(group.num_images > 0 for group in index.groups.values())
        read_or_refuse(lambda: index.labels.for_scenario("uvi"))
        for group in index.groups.values():
            inside = os.path.realpath(folder / "index" / group.folder)
            assert os.path.dirname(inside) == os.path.realpath(folder / "index")
