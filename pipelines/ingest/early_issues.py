"""What `itkm check` would say of a corpus without looking at its pictures again: the ingest has all that it takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from itkm_core.corpus.checks.issues import KINDS
from itkm_core.corpus.checks.splits import copies, lone_cameras, people_in_both_splits
from itkm_core.corpus.schema import Corpus


def early_issues(accepted: pa.Table, view: pa.ChunkedArray) -> list[dict[str, Any]]:
    """The entry `issues` of corpus.json: of leaks, people in both splits and lone cameras, if there are any,
    how many there are and the uri of the first one.

    Args:
        accepted: ACCEPTED_SCHEMA.
        view: whether a row is a picture of another row in other clothes, which does not count.
    """
    ids = pa.array(np.arange(accepted.num_rows))
    read = accepted.select(["scenario", "group", "camera", "split", "person", "digest"])
    rows = read.append_column("sample_id", ids).filter(pc.invert(view))
    leaks, _ = copies(rows["sample_id"].to_numpy(), rows["split"], rows["digest"])
    return [
        {
            "kind": found["kind"][0].as_py(),
            "num": found.num_rows,
            "example": accepted["uri"][found["sample_id"][0].as_py()].as_py(),
        }
        for found in (leaks, people_in_both_splits(rows, rows), lone_cameras(rows))
        if found.num_rows
    ]


def issue_notes(corpus: Corpus) -> Iterator[str]:
    """A line for each kind that the ingest has found."""
    for each in corpus.record.get("issues", []):
        yield (
            f"warning: {each['kind']}: {each['num']:,} {KINDS[each['kind']]}, such as {each['example']!r}; "
            "`itkm check` lists them"
        )
