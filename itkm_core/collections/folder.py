"""A user's own pictures: a tree of folders with a pattern for its paths, or a manifest."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from itkm_core.collections.files import check_folder, check_inside, normal_paths, picture_files
from itkm_core.collections.listing import make_listing
from itkm_core.collections.manifest import read_manifest
from itkm_core.collections.pattern import DEFAULT_PATTERN, compile_pattern, suggest_pattern
from itkm_core.errors import CorpusError


def list_images(
    root: str,
    *,
    pattern: str | None = None,
    manifest: str | None = None,
    scenario: str | None = None,
    group_names: Mapping[str, int] | None = None,
    group_column: str | None = None,
) -> pa.Table:
    """The pictures below `root` as a listing (LISTING_SCHEMA, sorted by uri).

    pattern: how a path is read (see `compile_pattern`); `{scenario}/{group}/{camera}/{name}` by
    default, without the scenario where `scenario` is given. Fields it lacks: scenario "default",
    group 0, camera -1, split train. manifest: a CSV or Parquet file used instead of the pattern.
    scenario: of all pictures. group_names: words for the groups, such as {"infrared": 1}.
    group_column: the manifest's column that holds the group.

    Raises:
        ConfigError: the pattern cannot be read.
        CorpusError: no pictures, paths that do not match the pattern, or a bad value in them.
    """
    if manifest is not None:
        check_folder(root)
        paths, fields = read_manifest(manifest, group_column=group_column)
        uris = normal_paths(paths, manifest)
        check_inside(root, uris)
    else:
        uris = picture_files(root)
        fields = _read_paths(root, uris, pattern, scenario)
    source = manifest or root
    if scenario is not None and "scenario" in fields:
        raise CorpusError(
            f"{source} already gives each picture's scenario; leave out scenario: {scenario}, or take "
            "{scenario} out of the pattern (or the column out of the manifest)"
        )
    return make_listing(uris, fields, source=source, scenario=scenario, group_names=group_names)


def _read_paths(
    root: str, uris: list[str], pattern: str | None, scenario: str | None
) -> dict[str, list[str | None]]:
    text = pattern or DEFAULT_PATTERN.removeprefix("" if scenario is None else "{scenario}/")
    compiled = compile_pattern(text)
    matches = [compiled.match(uri) for uri in uris]
    strangers = [uri for uri, match in zip(uris, matches, strict=True) if match is None]
    if strangers:
        raise CorpusError(
            f"{len(strangers)} of {len(uris)} pictures in {root} do not match the pattern {text!r}, the "
            f"first is {strangers[0]!r}; {_advice(strangers, text)}"
        )
    rows = [match for match in matches if match is not None]
    return {field: [row[place] for row in rows] for place, field in enumerate(compiled.fields)}


def _advice(strangers: list[str], text: str) -> str:
    suggestion = suggest_pattern(strangers)
    if suggestion == text or len({uri.count("/") for uri in strangers}) > 1:
        return "their depths differ: use one layout for all, or ingest them as several sources"
    meaning = "" if "/" in suggestion else " (all in scenario 'default', group 0, camera unknown)"
    return f"try --pattern '{suggestion}'{meaning}"
