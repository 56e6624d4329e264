"""What a corpus keeps of the public collections it is made from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from itkm_core.collections.collection import count_found
from itkm_core.collections.known import COLLECTIONS
from itkm_core.collections.listing import Listing
from itkm_core.corpus.schema import DRAWS_SCHEMA
from pipelines.ingest.config import Source


def published(source: Source, listing: Listing) -> dict[str, Any]:
    """An entry of `collections` in corpus.json: what was read, how it is measured, and its counts.

    counts: of each part its images and people, and how many the collection has as published (None: not known).
    """
    collection = COLLECTIONS[source.kind]
    variant = source.variant or next(iter(collection.variants), "")
    return {
        "scenario": source.called,
        "collection": collection.name,
        "variant": variant,
        "protocol": "mlr" if source.derive == "mlr" else collection.protocol,
        "counts": [
            {
                "part": found.expected.label,
                "images": found.images,
                "persons": found.persons,
                "published_images": found.expected.images,
                "published_persons": found.expected.persons,
            }
            for found in count_found(collection.expected, listing.rows, variant)
        ],
    }


def differs(count: Mapping[str, Any]) -> bool:
    """Whether a part has another number of images or people than it has as published."""
    return any(count[f"published_{of}"] not in (None, count[of]) for of in ("images", "persons"))


def draws_by_id(draws: pa.Table, accepted: pa.Table) -> pa.Table:
    """Draws (`Sources.draws`) as DRAWS_SCHEMA, by sample id; those of pictures that were set aside are left out.

    accepted: ACCEPTED_SCHEMA, the row of a picture being its sample id.
    """
    ids = pa.array(np.arange(accepted.num_rows))
    known = accepted.select(["scenario", "uri"]).append_column("sample_id", ids)
    joined = draws.join(known, ["scenario", "uri"], join_type="inner")
    order = [(name, "ascending") for name in ("draw", "sample_id")]
    return joined.select(DRAWS_SCHEMA.names).sort_by(order).cast(DRAWS_SCHEMA).combine_chunks()
