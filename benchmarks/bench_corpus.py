"""Shared by the pipeline benchmarks: a corpus of synthetic people, a local Ray, and the JSON record."""

from __future__ import annotations

import json
import logging
import os
import platform
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

console = Console()


@contextmanager
def own_ray(num_cpus: int, object_store_memory: int = 512 * 2**20) -> Iterator[None]:
    """A local Ray with this many CPUs, shut down at the end of the block."""
    import ray

    ray.init(
        address="local",
        num_cpus=num_cpus,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        object_store_memory=object_store_memory,
    )
    try:
        yield
    finally:
        ray.shutdown()


def made_corpus(base: Path, people: int, images: int) -> Path:
    """A corpus with `people` per scenario and `images` per person and group (needs a running Ray)."""
    from itkm_core.synthetic.config import SyntheticConfig
    from itkm_core.synthetic.write import write_people
    from pipelines.ingest.config import IngestConfig, Source
    from pipelines.ingest.make import ingest

    people_only = SyntheticConfig(people_train=people, people_test=0, images=images, seed=5)
    write_people(people_only, base / "people")
    source = Source(kind="synthetic", path=str(base / "people"))
    ingest(IngestConfig(sources=[source]), str(base / "corpus"))
    return base / "corpus"


@contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder, also used for node-local caches."""
    with tempfile.TemporaryDirectory(prefix="itkm-bench-") as folder:
        os.environ["ITKM_CACHE"] = f"{folder}/cache"
        yield Path(folder)


def show(title: str, rows: Sequence[dict[str, Any]]) -> None:
    """Print rows as a table."""
    table = Table(title=title, title_justify="left")
    for name in rows[0]:
        table.add_column(name, justify="right" if name != "what" else "left")
    for row in rows:
        cells = [f"{v:,.2f}" if isinstance(v, float) else str(v) for v in row.values()]
        table.add_row(*cells)
    console.print(table)


def record(path: Path | None, result: dict[str, Any]) -> None:
    """Write the measurements, and the machine they were made on, as JSON."""
    if path is None:
        return
    import ray
    import torch

    about = {
        "cpus": os.cpu_count(),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "ray": ray.__version__,
    }
    path.write_text(json.dumps({"about": about, **result}, indent=1) + "\n")
