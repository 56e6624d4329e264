"""The room a node has for spilled objects and for its copy of the corpus. Sent whole, as `probe.py` is.

On Kubernetes both lie in volumes with a limit (`emptyDir.sizeLimit`) that no file system shows: statvfs tells of
the machine's whole disk, and the kubelet evicts the pod whose files in a volume take more than the limit. A pod
cannot ask for it, so its environment says it.
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
"""Variable: the limit of the volume that ITKM_CACHE is in."""

TMP_LIMIT = "ITKM_TMP_LIMIT"
"""Variable: the limit of the volume that Ray's folder is in, where objects are spilled."""

UNITS = {"": 1}
UNITS |= {unit: 1000**power for power, unit in enumerate("kMGTPE", 1)}
UNITS |= {f"{unit}i": 1024**power for power, unit in enumerate("KMGTPE", 1)}


def spill(folder: str) -> dict[str, Any]:
    """`disk` of Ray's folder for objects that do not fit the object store. Empty where that is not known."""
    return disk(folder, TMP_LIMIT) if folder else {}


def cache(corpus: Mapping[str, Any] | None) -> dict[str, Any]:
    """`disk` of the cache, and the bytes of `corpus` (its "digest") that it has, as "have"."""
    from itkm_core.corpus.store import default_cache_dir

    folder = os.path.abspath(default_cache_dir())
    have = 0
    if corpus is not None:
        copies = Path(folder, corpus["digest"]).glob("*.arrow")
        have = sum(copy.stat().st_size for copy in copies)
    return {**disk(folder, CACHE_LIMIT), "have": have}


def disk(path: str, variable: str) -> dict[str, Any]:
    """Bytes free and in all of the disk that `path` is on, or will be, and whether it can be written.

    Where the environment has `variable`, also that "limit" and what is "taken" of it, in bytes.

    Raises:
        ValueError: the variable is no quantity.
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
    if limit == 0:  # which the kubelet, too, takes for none
        return found
    return {**found, "limit": limit, "taken": taken(volume(Path(path).resolve()))}


def quantity(variable: str, text: str) -> int:
    """Bytes of a Kubernetes quantity such as 100Gi, 50G, 1.5Ti, 2e9 or 512.

    Thousandths and less (`100m`), which Kubernetes has for CPUs, are refused: of bytes they are a slip for `M`.

    Raises:
        ValueError: it is none.
    """
    units = "|".join(UNITS)
    found = re.fullmatch(rf"(\d+\.?\d*|\.\d+)({units}|[eE][+-]?\d{{1,2}})", text, re.ASCII)
    if found is None:
        raise ValueError(
            f"{variable} is {text!r}; expected the sizeLimit of its volume, such as 100Gi, 50G, 512Mi or bytes"
        )
    number, unit = found.groups()
    return int(Decimal(number) * UNITS[unit] if unit in UNITS else Decimal(number + unit))


def volume(folder: Path) -> Path:
    """The mount that `folder` is in, whose files all count; `folder` where that is the whole system."""
    mounts = [each for each in (folder, *folder.parents) if os.path.ismount(each)]
    return mounts[0] if mounts and mounts[0] != Path(mounts[0].anchor) else folder


def taken(folder: Path) -> int:
    """Bytes on disk of all in `folder`, of this disk only, a file of several names once: as the kubelet counts.

    0 where there is no such folder; without what cannot be read.
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
            except OSError:  # gone meanwhile: others write here
                continue
            if entry.st_dev != first.st_dev:
                other.add(name)
            elif entry.st_ino not in seen:
                seen.add(entry.st_ino)
                total += 512 * entry.st_blocks
        folders[:] = [name for name in folders if name not in other]
    return total
