"""The synthetic people of `itkm synth`: a tree of pictures and the manifest beside it."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from itkm_core.collections.files import SetAside, check_folder, links_out, normal_paths
from itkm_core.collections.listing import Listing, check_listing
from itkm_core.corpus.schema import LISTING_SCHEMA, with_track_columns
from itkm_core.errors import CorpusError
from itkm_core.storage.paths import exists, join, read_bytes, resolve
from itkm_core.synthetic.record import RECORD_FILE
from itkm_core.synthetic.write import MANIFEST_FILE


def list_images(root: str) -> Listing:
    """The pictures, as the manifest has them.

    Raises:
        CorpusError: not a folder that `itkm synth` has finished.
    """
    check_folder(root)
    # The record is written last; without it the drawing was interrupted.
    for name in (RECORD_FILE, MANIFEST_FILE):
        if not exists(join(root, name)):
            raise CorpusError(
                f"{root} has no {name}; expected a folder that `itkm synth --out {root}` has finished"
            )
    filesystem, path = resolve(join(root, MANIFEST_FILE))
    try:
        table = pq.read_table(path, filesystem=filesystem, partitioning=None)
        table = with_track_columns(table).select(LISTING_SCHEMA.names).cast(LISTING_SCHEMA)
        table.validate(full=True)
    except (OSError, KeyError, pa.ArrowException, UnicodeDecodeError) as error:
        raise CorpusError(
            f"{join(root, MANIFEST_FILE)} is not a listing of `itkm synth`: {error}"
        ) from error
    check_listing(table, join(root, MANIFEST_FILE))
    uris = normal_paths(table["uri"].to_pylist(), join(root, MANIFEST_FILE))
    away = links_out(root, uris)
    aside = [
        SetAside(uri, "outside", away[uri], scenario)
        for uri, scenario in zip(uris, table["scenario"].to_pylist(), strict=True)
        if uri in away
    ]
    kept = table.filter(pa.array([uri not in away for uri in uris], pa.bool_()))
    return Listing(kept.sort_by("uri"), aside=aside)


def parameters(root: str) -> dict[str, Any]:
    """How they were drawn: the parameters of `itkm synth`'s record, such as their seed and overlap.

    Raises:
        CorpusError: the record is damaged.
    """
    place = join(root, RECORD_FILE)
    try:
        found = json.loads(read_bytes(place))["parameters"]
        return {str(name): value for name, value in found.items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CorpusError(
            f"{place} is not a record of synthetic people: delete its folder and draw again"
        ) from error
