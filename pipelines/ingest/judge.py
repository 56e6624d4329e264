"""Which pictures a corpus takes, after all of them were looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from itkm_core.collections.groups import group_by_height
from itkm_core.corpus.digest import DIGEST_BYTES, digest_at_depth
from itkm_core.corpus.images import eight_bits_size
from itkm_core.corpus.schema import REJECTED_SCHEMA
from itkm_core.corpus.shrink import shrunk_digest, shrunk_shape, shrunk_size
from itkm_core.corpus.writer import ACCEPTED_SCHEMA, count_values
from itkm_core.errors import CorpusError
from pipelines.ingest.config import IngestConfig
from pipelines.ingest.derived import shrink_factors, with_views
from pipelines.ingest.early_issues import early_issues
from pipelines.ingest.sources import Sources

_INSPECTED = ("height", "width", "num_bytes", "digest")


@dataclass(frozen=True)
class Judged:
    """accepted: ACCEPTED_SCHEMA. origin: of each accepted picture where it is and how it is kept, for `write_all`.

    rejected: REJECTED_SCHEMA. sixteen_bit: of each source with 16-bit grey, how many pictures, their lowest and highest
    value, and the depth they are kept with; 16 keeps the upper byte. derived: see `with_views`.
    """

    accepted: pa.Table
    origin: pa.Table
    rejected: pa.Table
    sixteen_bit: list[dict[str, Any]]
    derived: list[dict[str, Any]]

    def facts(self) -> dict[str, Any]:
        """Entries of corpus.json: none where there is nothing to say."""
        issues = early_issues(self.accepted, self.origin["view"])
        facts = {"sixteen_bit": self.sixteen_bit, "derived": self.derived, "issues": issues}
        return {name: value for name, value in facts.items() if value}


def judge(config: IngestConfig, sources: Sources, inspected: pa.Table) -> Judged:
    """Sort the pictures of `sources` by what the inspection (INSPECTED_SCHEMA, in the listing's order) found.

    Raises:
        CorpusError: too many pictures cannot be used, a value is larger than the source's depth allows, or as
            `with_views`.
    """
    listing = sources.listing
    good = pc.equal(inspected["reason"], "")
    bad = pc.invert(good)
    set_aside = listing.filter(bad).select(["uri", "scenario"])
    for name in ("reason", "detail"):
        set_aside = set_aside.append_column(name, inspected.filter(bad)[name])
    rejected = pa.concat_tables([set_aside.cast(REJECTED_SCHEMA), sources.aside]).combine_chunks()
    refuse_too_many(config, rejected, listing.num_rows + sources.aside.num_rows)
    kept, seen = listing.filter(good), inspected.filter(good)
    below = np.array([s.group_by.below if s.group_by else 0 for s in config.sources])
    groups = group_by_height(
        kept["group"].to_numpy(), seen["height"].to_numpy(), below[kept["source"].to_numpy()]
    )
    depths, sixteen_bit = _depths(config, kept, seen)
    shrunk = shrink_factors(config, kept)
    columns = {
        name: seen[name] if name in _INSPECTED else kept[name] for name in ACCEPTED_SCHEMA.names
    }
    columns.update(_as_kept(seen, depths, shrunk), group=groups)
    accepted = pa.table(columns, schema=ACCEPTED_SCHEMA).combine_chunks()
    whence = {"source": kept["source"], "depth": depths, "shrink": shrunk}
    whence.update((name, seen[name]) for name in ("pack", "offset"))
    origin = pa.table(whence).combine_chunks()
    accepted, origin, derived = with_views(config, accepted, origin)
    return Judged(accepted, origin, rejected, sixteen_bit, derived)


def refuse_too_many(config: IngestConfig, rejected: pa.Table, num: int) -> None:
    """Raises CorpusError, with the counts, if too many of `num` pictures cannot be used."""
    if rejected.num_rows / num <= config.max_rejected_fraction and rejected.num_rows < num:
        return
    reasons = ", ".join(f"{n} {why}" for why, n in count_values(rejected["reason"]).items())
    detail = rejected["detail"][0].as_py()
    raise CorpusError(
        f"{rejected.num_rows:,} of {num:,} pictures cannot be used ({reasons}), the "
        f"first is {rejected['uri'][0].as_py()!r}{f' ({detail})' if detail else ''}; max_rejected_fraction = "
        f"{config.max_rejected_fraction} allows {100 * config.max_rejected_fraction:g} %. Nothing "
        "was written: remove these pictures, or raise max_rejected_fraction"
    )


def _depths(
    config: IngestConfig, kept: pa.Table, seen: pa.Table
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """(int8 [N], the depth for `eight_bits`, 0 for pictures that are kept as found; the facts of `Judged`)."""
    source, low, high = kept["source"].to_numpy(), *(seen[n].to_numpy() for n in ("low", "high"))
    depths, facts = np.zeros(len(source), np.int8), []
    for index, each in enumerate(config.sources):
        deep = (source == index) & (high >= 0)
        if not deep.any():
            continue
        largest = int(high[deep].max())
        needed = max(8, largest.bit_length())
        depth = needed if each.depth == "auto" else each.depth or 16
        if needed > depth:
            uri = kept["uri"][int(np.argmax(np.where(deep, high, -1)))].as_py()
            raise CorpusError(
                f"{each.path}: depth: {depth} allows values up to {2**depth - 1:,}, but {uri!r} holds {largest:,}; "
                f"expected depth: {needed}, or auto"
            )
        if depth < 16:
            depths[deep] = depth
        facts.append(
            {
                "source": each.path,
                "num": int(deep.sum()),
                "low": int(low[deep].min()),
                "high": largest,
                "depth": depth,
            }
        )
    return depths, facts


def _as_kept(seen: pa.Table, depths: np.ndarray, shrunk: np.ndarray) -> dict[str, Any]:
    """What changes of the pictures that the corpus does not keep as found (`eight_bits`, `shrink`)."""
    rows = np.flatnonzero(depths.astype(bool) | shrunk.astype(bool))
    if not len(rows):
        return {}
    columns = {name: seen[name].to_numpy().copy() for name in ("num_bytes", "height", "width")}
    sizes, heights, widths = columns.values()
    digests = seen["digest"].to_pylist()
    for row in rows.tolist():
        depth, factor = int(depths[row]), int(shrunk[row])
        shape = int(heights[row]), int(widths[row])
        if factor:
            shape = shrunk_shape(*shape, factor)
        heights[row], widths[row] = shape
        sizes[row] = shrunk_size(*shape) if factor else eight_bits_size(*shape)
        digests[row] = shrunk_digest(digest_at_depth(digests[row], depth), factor)
    return {**columns, "digest": pa.array(digests, pa.binary(DIGEST_BYTES))}
