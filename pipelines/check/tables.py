"""What `itkm check` prints: of each kind of issue how many there are, what they are, and an example."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from rich.table import Table

from itkm_core.corpus.checks.issues import KINDS
from itkm_core.corpus.schema import Corpus
from itkm_core.corpus.writer import count_values
from pipelines.console import Console

EXAMPLES = 3


def print_issues(console: Console, found: pa.Table, corpus: Corpus) -> None:
    """Print the kinds of ISSUES_SCHEMA that were found, and the first examples of each."""
    searched = [kind for kind in KINDS if corpus.has_identities or kind != "person_in_both_splits"]
    counts = count_values(found["kind"])
    if found.num_rows:
        console.print(issues_table(found, counts, corpus))
        for kind in (kind for kind in KINDS if kind in counts):
            console.print(f"{kind:<22} {KINDS[kind]}")
    clean = [kind for kind in searched if kind not in counts]
    if clean:
        console.print(f"{'none found':<22} {', '.join(clean)}")
    if not corpus.has_identities:
        console.print(f"{'not known':<22} person_in_both_splits: the corpus has no identities")


def issues_table(found: pa.Table, counts: dict[str, int], corpus: Corpus) -> Table:
    """Of each kind the number, counts[kind], and the first examples. found: ISSUES_SCHEMA."""
    uris = corpus.index(["uri"])["uri"]
    table = Table(title=f"issues in {corpus.num_images:,} images", title_justify="left")
    table.add_column("kind", no_wrap=True)
    for name in ("number", "sample_id"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("such as", "detail"):
        table.add_column(name, overflow="fold")
    for kind in (kind for kind in KINDS if kind in counts):
        first = [kind, f"{counts[kind]:,}"]
        for row in found.filter(pc.field("kind") == kind).slice(0, EXAMPLES).to_pylist():
            detail = row["detail"]
            if row["other"] >= 0:
                detail += f", {row['other']} {uris[row['other']].as_py()}"
            table.add_row(*first, str(row["sample_id"]), uris[row["sample_id"]].as_py(), detail)
            first = ["", ""]
    return table
