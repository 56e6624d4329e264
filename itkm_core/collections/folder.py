"""A user's own pictures: a tree of folders with a pattern for its paths, or a manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from itkm_core.collections.files import SetAside, check_folder, links_out, normal_paths
from itkm_core.collections.finding import find_pictures
from itkm_core.collections.listing import DEFAULT_SCENARIO, Listing, Texts, make_listing
from itkm_core.collections.manifest import read_manifest
from itkm_core.collections.pattern import (
    DEFAULT_PATTERN,
    PathPattern,
    compile_pattern,
    suggest_pattern,
)
from itkm_core.errors import CorpusError


def list_images(
    root: str,
    *,
    pattern: str | None = None,
    manifest: str | None = None,
    scenario: str | None = None,
    group_names: Mapping[str, int] | None = None,
    group_column: str | None = None,
) -> Listing:
    """The pictures below `root`.

    pattern: how a path is read (see `compile_pattern`); `{scenario}/{group}/{camera}/{name}` by
    default, without the scenario where `scenario` is given. Fields it lacks: scenario "default",
    group 0, camera -1, split train. manifest: a CSV or Parquet file used instead of the pattern.
    scenario: of all pictures. group_names: words for the groups, such as {"infrared": 1}.
    group_column: the manifest's column that holds the group.

    Raises:
        ConfigError: the pattern cannot be read.
        CorpusError: no pictures, paths that do not match the pattern, or a bad value in them.
    """
    fields: Mapping[str, Texts]
    aside: Sequence[SetAside]
    if manifest is not None:
        check_folder(root)
        paths, fields = read_manifest(manifest, group_column=group_column)
        uris, fields, aside = _inside(root, normal_paths(paths, manifest), fields)
        left_out = {}
    else:
        text = pattern or DEFAULT_PATTERN.removeprefix("" if scenario is None else "{scenario}/")
        compiled = compile_pattern(text)
        found = find_pictures(root, compiled.suffix, by_content=compiled.suffix is None)
        uris, aside, left_out = found.paths, found.aside, found.left_out
        fields = _read_paths(root, uris, compiled)
        aside = [replace(each, scenario=_scenario(compiled, each.uri)) for each in aside]
    source = manifest or root
    if scenario is not None and "scenario" in fields:
        raise CorpusError(
            f"{source} already gives each picture's scenario; leave out scenario: {scenario}, or take "
            "{scenario} out of the pattern (or the column out of the manifest)"
        )
    if "scenario" not in fields:
        aside = [replace(each, scenario=scenario or DEFAULT_SCENARIO) for each in aside]
    listing = make_listing(uris, fields, source=source, scenario=scenario, group_names=group_names)
    return replace(listing, aside=aside, left_out=left_out)


def _inside(
    root: str, uris: list[str], fields: Mapping[str, Texts]
) -> tuple[list[str], Mapping[str, Texts], list[SetAside]]:
    """The rows of a manifest whose pictures lie below `root`, and the others."""
    away = links_out(root, uris)
    if not away:
        return uris, fields, []
    kept = [row for row, uri in enumerate(uris) if uri not in away]
    scenarios = fields.get("scenario", [None] * len(uris))
    aside = [
        SetAside(uri, "outside", away[uri], (scenario or "").strip() or DEFAULT_SCENARIO)
        for uri, scenario in zip(uris, scenarios, strict=True)
        if uri in away
    ]
    those = {name: [texts[row] for row in kept] for name, texts in fields.items()}
    return [uris[row] for row in kept], those, aside


def _scenario(compiled: PathPattern, path: str) -> str:
    """The scenario that a path names, or an empty text."""
    values = compiled.match(path)
    place = compiled.fields.index("scenario") if "scenario" in compiled.fields else None
    return "" if values is None or place is None else values[place].strip()


def _read_paths(root: str, uris: list[str], compiled: PathPattern) -> dict[str, list[str | None]]:
    text = compiled.text
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
