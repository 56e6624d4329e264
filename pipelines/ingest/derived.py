"""The second group that a source's `derive` makes of the one there is (docs/corpus.md, "Derived groups")."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from itkm_core.collections.groups import group_by_camera
from itkm_core.collections.listing import Listing
from itkm_core.collections.low_resolution import LOW_CAMERAS, ask_across, factors
from itkm_core.corpus.clothes_view import CLOTHES
from itkm_core.corpus.schema import UNKNOWN
from itkm_core.errors import CorpusError
from pipelines.ingest.config import IngestConfig, Source
from pipelines.ingest.tasks import VIEW

MLR = "mlr"


def in_two_resolutions(source: Source, listing: Listing) -> Listing:
    """The listing with the pictures that are to be brought down in group 1, which asks.

    Raises:
        CorpusError: a camera without pictures, or there are two groups already.
    """
    rule = source.group_by
    if rule is None or rule.by == "camera":
        if (listing.rows["group"].to_numpy() != 0).any():
            raise _two_groups(source)
        cameras = LOW_CAMERAS if rule is None else rule.cameras
        listing = group_by_camera(listing, cameras, source.path)
    return ask_across(listing)


def shrink_factors(config: IngestConfig, kept: pa.Table) -> np.ndarray:
    """int8 [N]: the factor for `shrink`, 0 for pictures that keep their resolution. kept: SOURCE_SCHEMA."""
    derived = np.array([source.derive == MLR for source in config.sources])
    low = derived[kept["source"].to_numpy()] & (kept["group"].to_numpy() == 1)
    found = np.zeros(kept.num_rows, np.int8)
    found[low] = factors(kept["uri"].filter(pa.array(low)).to_pylist())
    return found


def with_views(
    config: IngestConfig, accepted: pa.Table, origin: pa.Table
) -> tuple[pa.Table, pa.Table, list[dict[str, Any]]]:
    """`accepted` and `origin` of `Judged` with a row more, in group 1, for each picture that is to be seen in other
    clothes; origin with `view`, whether a row is one. And the entry `derived` of corpus.json.

    A view has the picture, camera and person of its row in group 0, unknown clothes, and VIEW behind its uri.

    Raises:
        CorpusError: a source without training pictures, of two groups, or with a name that ends like a view's.
    """
    if not any(each.derive == CLOTHES for each in config.sources):
        none = pa.array(np.zeros(accepted.num_rows, bool))
        return accepted, origin.append_column("view", none), []
    groups, source = accepted["group"].to_numpy(), origin["source"].to_numpy()
    train = np.asarray(pc.equal(accepted["split"], "train"))
    rows: list[np.ndarray] = []
    for index, each in enumerate(config.sources):
        if each.derive != CLOTHES:
            continue
        mine = source == index
        if groups[mine].any():
            raise _two_groups(each)
        rows.append(np.flatnonzero(mine & train))
        if not len(rows[-1]):
            raise CorpusError(
                f"{each.path} has no training pictures to be seen in other clothes; leave out derive: clothes"
            )
        _refuse_views(each, accepted["uri"].filter(pa.array(mine)))
    seen = np.concatenate(rows)
    views = accepted.take(seen)
    changed = {
        "uri": pc.binary_join_element_wise(views["uri"], VIEW, ""),
        "group": np.ones(len(seen), np.int8),
        "clothes": np.full(len(seen), UNKNOWN, np.int64),
    }
    columns = {name: changed.get(name, views[name]) for name in accepted.column_names}
    both = pa.concat_tables([accepted, pa.table(columns, schema=accepted.schema)])
    whence = pa.concat_tables([origin, origin.take(seen)])
    is_view = np.arange(both.num_rows) >= accepted.num_rows
    whence = whence.append_column("view", pa.array(is_view))
    keys = pa.table({"source": whence["source"], "uri": both["uri"]})
    order = pc.sort_indices(keys, [("source", "ascending"), ("uri", "ascending")])
    facts = [
        {"scenario": scenario, "group": 1, "by": CLOTHES}
        for scenario in sorted(pc.unique(views["scenario"]).to_pylist())
    ]
    return both.take(order).combine_chunks(), whence.take(order).combine_chunks(), facts


def _refuse_views(source: Source, uris: pa.ChunkedArray) -> None:
    like = uris.filter(pc.ends_with(uris, VIEW))
    if len(like):
        raise CorpusError(
            f"{source.path}: {like[0].as_py()!r} ends in {VIEW}, as the views of derive: clothes do; rename it"
        )


def _two_groups(source: Source) -> CorpusError:
    return CorpusError(
        f"{source.path}: derive: {source.derive} needs pictures of one group, and some are of group 1 already; "
        "leave derive out"
    )
