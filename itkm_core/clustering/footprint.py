"""How much memory labelling a group takes, estimated before it starts. [ours]

The entries of V and the pairs of the graph depend on the data. The factors below are close to the largest seen on a
dozen kinds of made-up features (tight people to one cloud, 8 to 128 dimensions): for people, up to twice what is used.
"""

from __future__ import annotations

from pathlib import Path

from itkm_core.errors import LabelError
from itkm_core.neighbors.search import Backend, resolve_backend

SET_ENTRIES = 1.2
"""Entries of a row of V before the query expansion, in multiples of k1: 0.6 to 1.1 seen."""

EXPANDED_ENTRIES = 3.0
"""Entries after it, in multiples of k1: 1.1 to 2.8 seen at k2 = 6, and 3.5 where no image is like another; never more
than those of k2 rows."""

PAIRS = 1.2
"""Images within eps of an image, in multiples of k1: 0.5 seen with 16 images a person, 1.9 with 60."""

LIBRARIES = 800 << 20
"""What numpy, numba and torch take once loaded."""


def estimate_memory(
    num_images: int,
    dimension: int,
    *,
    k1: int,
    k2: int,
    backend: str = "auto",
    copies: int = 1,
    divided: bool = False,
) -> int:
    """Peak memory in bytes of labelling `num_images` images of `dimension` features, on one machine.

    `copies`: arrays of all features in memory, including the caller's. `divided`: the work is shared with other
    processes (`workers.py`), so what they read is in memory a second time.
    """
    backend_used: Backend = resolve_backend(backend, num_images)
    rows = 4 * dimension * copies
    lists = 12 * k1  # with their similarities, and on the way as float64
    entries = SET_ENTRIES * k1
    expanded = min(EXPANDED_ENTRIES, SET_ENTRIES * k2) * k1 if k2 > 1 else entries
    sent = 4 * dimension if divided else 0
    twice = 2 if divided else 1
    search = sent + 24 * k1 + 48
    if backend_used == "ivf":
        search += twice * (4 * dimension + 8)
    encoding = sent + lists + twice * 8 * k1 + (12 * twice + 4) * entries + 24 * expanded
    graph = lists + (24 + 20 * twice + 12) * expanded + 36 * PAIRS * k1
    return LIBRARIES + int(num_images * (rows + max(search, encoding, graph)))


def free_memory() -> int | None:
    """Bytes this process can still use: of the machine, or of its container if that is less.

    None where the system does not say; only Linux does.
    """
    try:
        lines = Path("/proc/meminfo").read_text("utf-8").splitlines()
        (line,) = (each for each in lines if each.startswith("MemAvailable:"))
    except (OSError, ValueError):
        return None
    free = int(line.split()[1]) * 1024
    for limit, used, facts, cache in _CONTAINERS:
        try:
            # Cached files count as used, but are evicted when memory is needed.
            room = int(_read(limit)) - int(_read(used)) + _files_cached(_read(facts), cache)
        except (OSError, ValueError):  # no such group, or "max": no limit
            continue
        free = min(free, max(room, 0))
    return free


_CONTAINERS = (  # control groups, version 2 and 1
    ("memory.max", "memory.current", "memory.stat", ("inactive_file", "active_file")),
    (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        ("total_inactive_file", "total_active_file"),
    ),
)


def _read(name: str) -> str:
    return Path("/sys/fs/cgroup", name).read_text("utf-8")


def _files_cached(facts: str, names: tuple[str, ...]) -> int:
    lines = (line.split() for line in facts.splitlines())
    return sum(int(value) for name, value in lines if name in names)


def check_memory(needed: int, free: int | None, *, num_images: int, k1: int) -> None:
    """Refuse what cannot fit before anything is computed.

    Raises LabelError with both numbers and what to change.
    """
    if free is not None and needed > free:
        raise LabelError(
            f"labelling {num_images:,} images with k1 = {k1} takes about {gigabytes(needed)} and "
            f"{gigabytes(free)} of memory are free: lower labels.k1, label fewer images at once, or use "
            "a machine with more memory"
        )


def gigabytes(number: int) -> str:
    return f"{number / 1e9:,.1f} GB"
