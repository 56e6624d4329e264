"""YAML in every encoding that YAML allows, and one line for all else."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from itkm_core.errors import ConfigError, StorageError
from itkm_core.storage.place import Place
from pipelines.artifacts.run_folder import open_run, read_run
from pipelines.config import load_config
from pipelines.ingest.config import load_ingest_config
from pipelines.yaml_text import parse_yaml

TEXT = "# Größe · 日本\nseed: 3\n"
ALLOWED = {
    "plain": TEXT.encode(),
    "bom": codecs.BOM_UTF8 + TEXT.encode(),
    "utf-16": TEXT.encode("utf-16"),
    "utf-16-le": TEXT.encode("utf-16-le"),
    "utf-16-be with a mark": codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
    "utf-16-be": TEXT.encode("utf-16-be"),
    "utf-32": TEXT.encode("utf-32"),
    "utf-32-be": TEXT.encode("utf-32-be"),
}
REFUSED = {
    "latin-1": "# Größe\nseed: 3\n".encode("latin-1"),
    "shift-jis": "# 日本語\nseed: 3\n".encode("shift-jis"),
    "cut utf-16": TEXT.encode("utf-16")[:-1],
    "binary": bytes(range(256)),
    "no yaml": b"seed: [",
    "no date": b"seed: 2026-13-01",
    "a long number": b"seed: " + b"1" * 5000,
    "deep": b"[" * 5000,
    "a tag": b"seed: !!python/object:os.system x",
    "a broken tag": b"seed: !!timestamp x",
    "an unhashable key": b"{[1]: 2}",
}


@pytest.mark.parametrize("name", ALLOWED)
def test_every_encoding_that_yaml_allows(name: str, tmp_path: Path) -> None:
    assert parse_yaml(ALLOWED[name], "it") == {"seed": 3}
    file = tmp_path / "recipe.yaml"
    file.write_bytes(ALLOWED[name])
    assert load_config(str(file)).seed == 3
    source = f"sources: [{{kind: folder, path: {tmp_path}}}] # Größe"
    file.write_bytes(source.encode("utf-16" if "16" in name else "utf-8"))
    assert load_ingest_config(file).sources[0].kind == "folder"


@pytest.mark.parametrize("name", REFUSED)
def test_all_else_is_one_line(name: str, tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_bytes(REFUSED[name])
    for read in (load_config, load_ingest_config):
        with pytest.raises(ConfigError) as caught:
            read(str(file))
        assert str(file) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_an_encoding_is_named_with_the_byte_and_its_line() -> None:
    with pytest.raises(ConfigError, match=r"recipe is not in UTF-8.*byte 0xf6 in line 2\. Save"):
        parse_yaml("a: 1\n# Größe".encode("latin-1"), "recipe")


def test_the_value_of_an_override_is_one_line_too() -> None:
    for value in ("[", "2026-13-01", "!!timestamp x"):
        with pytest.raises(ConfigError, match="override 'seed=") as caught:
            load_config("tiny", [f"seed={value}"])
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"[]", b"identity: {}", b"\xff\xff", b"a: ["])
def test_a_damaged_record_of_a_run(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_bytes(data)
    for use in (read_run, lambda place: open_run(place, {}, {})):
        with pytest.raises(StorageError, match=r"config\.yaml is not one") as caught:
            use(Place.at(tmp_path))
        assert "\n" not in str(caught.value)
