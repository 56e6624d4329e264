"""Random and damaged recipes and configurations: refused with an error of ours, or read as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from fuzz import damaged, damages, fuzz, mostly, read_or_refuse, words
from hypothesis import given
from hypothesis import strategies as st

from pipelines.config import RunConfig, load_config, make_config
from pipelines.ingest.config import IngestConfig, ingest_config, load_ingest_config

KEYS = """seed only labels eps k1 scenarios model name image_size compute sources kind path pattern group_by by cameras
depth manifest group_names max_pixels"""
keys = st.sampled_from(KEYS.split())
plain = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    words,
    st.sampled_from(
        ["auto", "folder", "tiny", "{camera}/{name}", "camera", "column", "uvi/1", 0.5, 12]
    ),
    st.dates(),
)
values = st.recursive(
    plain,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(keys, plain), inner, max_size=3)
    ),
    max_leaves=8,
)
names = st.sampled_from(["uvi", "ucc 2", "a.b", "Nähe"])
chances = st.floats(0.05, 0.95)
labels = st.fixed_dictionaries(
    {},
    optional={
        "eps": st.one_of(chances, st.just("auto")),
        "k1": st.integers(6, 40),
        "scenarios": st.dictionaries(names, st.fixed_dictionaries({"eps": chances}), max_size=2),
    },
)
RECIPE = {
    "seed": st.integers(0, 2**40),
    "homogeneous_rounds": st.integers(1, 9),
    "only": st.lists(names, max_size=2),
    "without_camera": st.booleans(),
    "labels": labels,
}
SOURCE = {
    "path": st.sampled_from(["a", "/a b", "s3://b/c", "Größe"]),
    "scenario": names,
    "pattern": st.sampled_from(["{camera}/{name}", "*/{person}_{name}.png"]),
    "group_by": st.one_of(
        st.fixed_dictionaries(
            {
                "by": st.just("camera"),
                "cameras": st.lists(st.one_of(st.integers(0), names), min_size=1),
            }
        ),
        st.fixed_dictionaries({"by": st.just("resolution"), "below": st.integers(1, 999)}),
    ),
    "depth": st.one_of(st.integers(8, 16), st.just("auto")),
    "group_names": st.dictionaries(names, st.sampled_from([0, 1]), max_size=2),
}


def section(right: dict[str, st.SearchStrategy[Any]], *needed: str) -> st.SearchStrategy[Any]:
    """Some of the keys that there are with values that are mostly right, and now and then others."""
    some = {name: mostly(value, values) for name, value in right.items()}
    usual = st.fixed_dictionaries(
        {name: some[name] for name in needed},
        optional={name: value for name, value in some.items() if name not in needed},
    )
    both = st.tuples(usual, st.dictionaries(keys, values, min_size=1, max_size=2))
    return mostly(usual, both.map(lambda parts: {**parts[0], **parts[1]}))


recipes = section(RECIPE)
folders = section(SOURCE, "path").map(lambda source: {"kind": "folder", **source})
sources = section(
    {"sources": st.lists(folders, min_size=1, max_size=2), "max_pixels": st.integers(1, 2**40)},
    "sources",
)


def as_yaml(value: Any) -> bytes:
    text = yaml.safe_dump(value, allow_unicode=True, sort_keys=False)
    return text.encode("utf-8", "replace")


@fuzz
@given(recipes, mostly(st.none(), damages), st.sampled_from(["utf-8", "utf-16", "latin-1"]))
def test_recipes(folder: Path, value: Any, damage: Any, encoding: str) -> None:
    text = as_yaml(value).decode().encode(encoding, "replace")
    (folder / "r.yaml").write_bytes(text if damage is None else damaged(text, damage))
    config = read_or_refuse(lambda: load_config(str(folder / "r.yaml")))
    if config is not None:
        assert isinstance(config, RunConfig)
        assert make_config(config.model_dump(mode="json")) == config
        if damage is None and encoding != "latin-1":
            for name in {"seed", "homogeneous_rounds", "without_camera"} & set(value):
                assert getattr(config, name) == value[name]
            for name, given in value.get("labels", {}).get("scenarios", {}).items():
                assert config.labels.scenarios[name].eps == given.get("eps")


@fuzz
@given(sources, mostly(st.none(), damages))
def test_configurations_of_sources(folder: Path, value: Any, damage: Any) -> None:
    text = as_yaml(value)
    (folder / "s.yaml").write_bytes(text if damage is None else damaged(text, damage))
    config = read_or_refuse(lambda: load_ingest_config(folder / "s.yaml"))
    if config is not None:
        assert isinstance(config, IngestConfig)
        again = ingest_config(**config.model_dump(mode="json", exclude_unset=True))
        assert again.identity() == config.identity()
        if damage is None:
            for source, given in zip(config.sources, value["sources"], strict=True):
                assert source.depth == given.get("depth")
                assert source.pattern == given.get("pattern")
