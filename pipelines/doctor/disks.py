"""Disk space of a node for spilled objects and for its copy of the corpus. Sent as code, like `probe.py`.

On Kubernetes both are in volumes with a limit (`emptyDir.sizeLimit`) that no file system shows: statvfs reports the
machine's whole disk, and the kubelet evicts a pod whose files in a volume exceed the limit. A pod cannot query the
limit, so it is passed in an environment variable.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

CACHE_LIMIT = "ITKM_CACHE_LIMIT"
"""Environment variable: the limit of the volume that holds ITKM_CACHE."""

TMP_LIMIT = "ITKM_TMP_LIMIT"
"""Environment variable: the limit of the volume that holds Ray's folder, to which objects are spilled."""

UNITS = {"": 1}
UNITS |= {unit: 1000**power for power, unit in enumerate("kMGTPE", 1)}
UNITS |= {f"{unit}i": 1024**power for power, unit in enumerate("KMGTPE", 1)}


def spill(folder: str) -> dict[str, Any]:
    """`disk` of Ray's folder for objects that do not fit the object store. Empty if the folder is unknown."""
    return disk(folder, TMP_LIMIT) if folder else {}


def cache(corpus: Mapping[str, Any] | None) -> dict[str, Any]:
    """`disk` of the cache, and as "have" the bytes that it holds of the corpus with the digest `corpus["digest"]`."""
    from itkm_core.corpus.store import default_cache_dir

    folder = os.path.abspath(default_cache_dir())
    have = 0
    if corpus is not None:
        copies = Path(folder, corpus["digest"]).glob("*.arrow")
        have = sum(copy.stat().st_size for copy in copies)
    return {**disk(folder, CACHE_LIMIT), "have": have}


def disk(path: str, variable: str) -> dict[str, Any]:
    """Free and total bytes of the disk that holds `path`, or will, and whether it is writable.

    If the environment variable `variable` is set, also that "limit" and how much of it is "taken", in bytes.

    Raises:
        ValueError: the variable is not a quantity.
    """
    there = Path(path).resolve()
    while not there.exists():
        there = there.parent
    usage = shutil.disk_usage(there)
    writable = os.access(there, os.W_OK | os.X_OK)
    found = {"path": path, "free": usage.free, "total": usage.total, "writable": writable}
    text = os.environ.get(variable)
    if text is None:
        return found
    limit = quantity(variable, text)
    if limit == 0:  # no limit, as for the kubelet
        return found
    return {**found, "limit": limit, "taken": taken(volume(Path(path).resolve()))}


def quantity(variable: str, text: str) -> int:
    """Bytes of a Kubernetes quantity such as 100Gi, 50G, 1.5Ti, 2e9 or 512.

    The suffix `m` (thousandths), which Kubernetes has for CPUs, is refused: for bytes it is a typo for `M`.

    Raises:
        ValueError: it is not a quantity.
    """
    units = "|".join(UNITS)
    found = re.fullmatch(rf"(\d+\.?\d*|\.\d+)({units}|[eE][+-]?\d{{1,2}})", text, re.ASCII)
    if found is None:
        raise ValueError(
            f"{variable} is {text!r}; expected the sizeLimit of its volume, such as 100Gi, 50G, 512Mi, or bytes"
        )
    number, unit = found.groups()
    return int(Decimal(number) * UNITS[unit] if unit in UNITS else Decimal(number + unit))


def volume(folder: Path) -> Path:
    """The mount that holds `folder`, all of whose files count; `folder` itself if that is the root file system."""
    mounts = [each for each in (folder, *folder.parents) if os.path.ismount(each)]
    return mounts[0] if mounts and mounts[0] != Path(mounts[0].anchor) else folder


def taken(folder: Path) -> int:
    """Bytes on disk of everything in `folder`, counted as the kubelet does: this disk only, hard links once.

    0 if there is no such folder; what cannot be read is left out.
    """
    if not folder.is_dir():
        return 0
    first = folder.stat()
    total, seen = 512 * first.st_blocks, {first.st_ino}
    for parent, folders, files in os.walk(folder):
        other = set()
        for name in (*folders, *files):
            try:
                entry = os.lstat(os.path.join(parent, name))
            except OSError:  # deleted in the meantime: other processes write here
                continue
            if entry.st_dev != first.st_dev:
                other.add(name)
            elif entry.st_ino not in seen:
                seen.add(entry.st_ino)
                total += 512 * entry.st_blocks
        folders[:] = [name for name in folders if name not in other]
    return total
