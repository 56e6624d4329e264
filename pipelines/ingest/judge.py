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
from itkm_core.corpus.writer import ACCEPTED_SCHEMA, count_values
from itkm_core.errors import CorpusError
from pipelines.ingest.config import IngestConfig
from pipelines.ingest.sources import Sources

_INSPECTED = ("height", "width", "num_bytes", "digest")


@dataclass(frozen=True)
class Judged:
    """accepted: ACCEPTED_SCHEMA. origin: of each accepted picture where it is and its depth, as `write_all` takes them.

    rejected: REJECTED_SCHEMA. sixteen_bit: of each source with 16-bit grey, how many pictures, their lowest and highest
    value, and the depth they are kept with; 16 keeps the upper byte.
    """

    accepted: pa.Table
    origin: pa.Table
    rejected: pa.Table
    sixteen_bit: list[dict[str, Any]]

    def facts(self) -> dict[str, Any]:
        """Entries of corpus.json: none where there is nothing to say."""
        return {"sixteen_bit": self.sixteen_bit} if self.sixteen_bit else {}


def judge(config: IngestConfig, sources: Sources, inspected: pa.Table) -> Judged:
    """Sort the pictures of `sources` by what the inspection (INSPECTED_SCHEMA, in the listing's order) found.

    Raises:
        CorpusError: too many pictures cannot be used, or a value is larger than the source's depth allows.
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
    columns = {
        name: seen[name] if name in _INSPECTED else kept[name] for name in ACCEPTED_SCHEMA.names
    }
    columns.update(_as_kept(seen, depths), group=groups)
    accepted = pa.table(columns, schema=ACCEPTED_SCHEMA).combine_chunks()
    whence = {"source": kept["source"], "depth": depths}
    whence.update((name, seen[name]) for name in ("pack", "offset"))
    origin = pa.table(whence).combine_chunks()
    return Judged(accepted, origin, rejected, sixteen_bit)


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


def _as_kept(seen: pa.Table, depths: np.ndarray) -> dict[str, Any]:
    """`num_bytes` and `digest` of the pictures in the corpus: those of `eight_bits` are new ones."""
    rows = np.flatnonzero(depths)
    if not len(rows):
        return {}
    sizes, digests = seen["num_bytes"].to_numpy().copy(), seen["digest"].to_pylist()
    heights, widths = seen["height"].to_numpy(), seen["width"].to_numpy()
    for row in rows.tolist():
        sizes[row] = eight_bits_size(int(heights[row]), int(widths[row]))
        digests[row] = digest_at_depth(digests[row], int(depths[row]))
    return {"num_bytes": sizes, "digest": pa.array(digests, pa.binary(DIGEST_BYTES))}
