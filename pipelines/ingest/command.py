"""`itkm ingest`: the options of the command line as a request."""

from __future__ import annotations

from typing import Any

from itkm_core.errors import ConfigError
from pipelines.ingest.config import IngestConfig, ingest_config, load_ingest_config


def request(
    config: str | None,
    kind: str | None,
    path: str | None,
    *,
    group_by: dict[str, Any],
    crops: dict[str, Any],
    limits: dict[str, Any],
    **source: Any,
) -> IngestConfig:
    """The request in a YAML file, or the one that the options of a single source make; None means the default.

    Raises:
        ConfigError: a file and options together, neither of them, or an invalid value.
    """
    given = {name: value for name, value in source.items() if value is not None}
    grouping = {name: value for name, value in group_by.items() if value is not None}
    cutting = {name: value for name, value in crops.items() if value is not None}
    bounds = {name: value for name, value in limits.items() if value is not None}
    if config is not None:
        if kind or path or given or grouping or cutting or bounds:
            raise ConfigError(
                "--config describes all sources: leave out PATH and the source options"
            )
        return load_ingest_config(config)
    if kind is None or path is None:
        raise ConfigError(
            "nothing to ingest: expected --as KIND (folder, tracks, or a collection of `itkm collections`) and PATH, "
            "or --config FILE"
        )
    one = {"kind": kind, "path": path, **given}
    if grouping:
        one["group_by"] = grouping
    if cutting:
        one["crops"] = cutting
    return ingest_config(sources=[one], **bounds)
