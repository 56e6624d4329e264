"""Verdicts of `itkm doctor` on each machine: GPUs, disks, shared memory, and memory for labelling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from itkm_core.clustering.footprint import gigabytes
from pipelines.doctor.judge_cluster import Facts, Line, could_not, errors_of, spread

SPILL_LIMIT = 0.95
"""Share of a disk in use above which Ray spills no more objects to it (its local_fs_capacity_threshold)."""


def judge_gpus(counted: Mapping[str, float], facts: Facts, *, cuml_needed: bool) -> Line | None:
    """counted: Ray's GPUs, by node. facts: those of the nodes asked. None if no node has a GPU."""
    asked = {name: each["gpus"] for name, each in facts.items() if "gpus" in each}
    if not asked:
        return None
    errors = errors_of(facts, "gpus")
    fails: dict[str, str] = {}
    notes: dict[str, str] = {}
    names: dict[str, str] = {}
    for name, gpus in asked.items():
        if name in errors:
            continue
        torch = gpus.get("torch") or {"error": "not installed"}
        devices = torch.get("devices", [])
        ray = int(counted.get(name, 0))
        if len(devices) < ray:
            why = f" ({torch['error']})" if "error" in torch else ""
            fails[name] = f"Ray counts {ray}, torch sees {len(devices)}{why}"
        elif len(devices) > ray:
            notes[name] = f"torch sees {len(devices)}, Ray counts {ray}"
        cuml = gpus.get("cuml")
        if cuml_needed and (cuml is None or "error" in cuml):
            fails.setdefault(name, f"labels.dbscan=cuml, and cuML is {_state(cuml)}")
        if devices:
            kinds = ", ".join(sorted({f"{d['name']} {gigabytes(d['bytes'])}" for d in devices}))
            names[name] = f"{len(devices)} x {kinds} (faiss {_faiss(gpus)}, cuML {_state(cuml)})"
    if errors or fails:
        advice = (
            "install a driver and a PyTorch that fit each other, and cuML (the extra `gpu`) if it is asked for, or "
            "start Ray there with --num-gpus=0"
        )
        return could_not("gpus", {**errors, **fails}, advice)
    if notes:
        return Line(
            "warn",
            "gpus",
            spread(notes),
            "GPUs that Ray does not count stay idle: start Ray with --num-gpus",
        )
    return Line("ok", "gpus", spread(names) or "none") if names else None


def _state(library: Mapping[str, Any] | None) -> str:
    if library is None:
        return "not installed"
    return f"broken: {library['error']}" if "error" in library else str(library["version"])


def _faiss(gpus: Mapping[str, Any]) -> str:
    found = gpus.get("faiss")
    if found is None or "error" in found:
        return _state(found)
    return f"{found['version']}, {found['count']} GPUs"


def judge_disks(facts: Facts, training: Sequence[str], corpus_bytes: int) -> Line:
    """training: the nodes that keep a copy of the corpus, of `corpus_bytes`, in their cache."""
    errors = _together(errors_of(facts, "spill"), errors_of(facts, "cache"))
    if errors:
        advice = "point ITKM_CACHE and Ray's --temp-dir at readable folders, and write limits as Kubernetes quantities"
        return could_not("disk", errors, advice)
    spills = {name: each["spill"] for name, each in facts.items() if each["spill"]}
    caches = {name: facts[name]["cache"] for name in training}
    full, small, tight = {}, {}, {}
    for name, spill in spills.items():
        if not spill["writable"]:
            full[name] = f"{spill['path']} cannot be written"
        elif over := _full(spill):
            full[name] = over
        elif _room(spill) < facts[name]["store"].get("bytes", 0):
            tight[name] = _left(spill)
    for name, cache in caches.items():
        needed = max(0, corpus_bytes - cache["have"])
        if not cache["writable"]:
            small[name] = f"{cache['path']} cannot be written"
        elif _room(cache) < needed:
            small[name] = f"{_left(cache)}, the corpus takes {gigabytes(needed)}"
    if full or small:
        advice = (
            "free some space, point Ray's --temp-dir (spilled objects) or ITKM_CACHE (the corpus) at another disk, or "
            "raise the volume's limit"
        )
        return could_not("disk", _together(full, small), advice)
    if tight:
        advice = (
            "objects that do not fit the object store are written there: free some space, use another --temp-dir, or "
            "raise the volume's limit, above which the pod is evicted"
        )
        return Line("warn", "disk", f"less than one object store: {spread(tight)}", advice)
    parts = ["spilling folder unknown"]
    if spills:
        parts = [f"at least {gigabytes(min(map(_room, spills.values())))} free for spilled objects"]
    if caches:
        takes = f", of which the corpus takes {gigabytes(corpus_bytes)}" if corpus_bytes else ""
        parts.append(f"{gigabytes(min(map(_room, caches.values())))} for the cache{takes}")
    return Line("ok", "disk", ", ".join(parts))


def _room(disk: Mapping[str, Any]) -> int:
    """Bytes that can still be written, given the disk and the volume's limit, if any."""
    free: int = disk["free"]
    return min(free, max(0, disk["limit"] - disk["taken"])) if "limit" in disk else free


def _left(disk: Mapping[str, Any]) -> str:
    room = _room(disk)
    if room < disk["free"]:
        return (
            f"{gigabytes(room)} left of the volume's {gigabytes(disk['limit'])} at {disk['path']}"
        )
    return f"{gigabytes(room)} free at {disk['path']}"


def _full(spill: Mapping[str, Any]) -> str:
    """What is full, or "". Ray looks at the disk only; a volume that close to its limit cannot take spills. [ours]"""
    if spill["total"] and (used := 1 - spill["free"] / spill["total"]) >= SPILL_LIMIT:
        return f"{spill['path']} is {used:.0%} full"
    if "limit" in spill and spill["taken"] >= SPILL_LIMIT * spill["limit"]:
        used_bytes, limit = gigabytes(spill["taken"]), gigabytes(spill["limit"])
        return f"{used_bytes} of the volume's {limit} are in use at {spill['path']}"
    return ""


def _together(*said: Mapping[str, str]) -> dict[str, str]:
    """Everything said about each node."""
    names = dict.fromkeys(name for each in said for name in each)
    return {name: "; ".join(each[name] for each in said if name in each) for name in names}


def judge_shared_memory(facts: Facts) -> Line | None:
    """None if no node has a /dev/shm, as on macOS."""
    errors = errors_of(facts, "store")
    if errors:
        return could_not("/dev/shm", errors, "look at the node")
    stores = {name: each["store"] for name, each in facts.items() if "shm" in each["store"]}
    if not stores:
        return None
    small = {
        name: f"{gigabytes(store['shm'])} for an object store of {gigabytes(store['bytes'])}"
        for name, store in stores.items()
        if store["folder"] in ("", "/dev/shm") and store["shm"] < store["bytes"]
    }
    if small:
        advice = (
            "a store that outgrows it kills Ray's processes: give the container a larger --shm-size or an emptyDir of "
            "medium Memory, or Ray a smaller --object-store-memory"
        )
        return could_not("/dev/shm", small, advice)
    elsewhere = {
        name: store["folder"]
        for name, store in stores.items()
        if store["folder"] not in ("", "/dev/shm")
    }
    if elsewhere:
        advice = "/dev/shm was too small when Ray started, and a disk is slower: enlarge it and restart Ray"
        return Line("warn", "/dev/shm", f"the object store is in {spread(elsewhere)}", advice)
    least = min(stores.values(), key=lambda store: store["shm"] - store["bytes"])
    seen = (
        f"{gigabytes(least['shm'])} for an object store of {gigabytes(least['bytes'])}, or better"
    )
    return Line("ok", "/dev/shm", seen)


def judge_labelling(tasks: Mapping[str, tuple[int, int]], machines: Mapping[str, int]) -> Line:
    """tasks: (images, bytes needed) of each block, by name. machines: bytes that Ray can give out, by node."""
    largest = max(machines.values(), default=0)
    too_large = [name for name, (_, needed) in tasks.items() if needed > largest]
    if too_large:
        seen = ", ".join(
            f"{name} ({tasks[name][0]:,} images) takes about {gigabytes(tasks[name][1])}"
            for name in too_large
        )
        return Line(
            "fail",
            "labelling",
            f"{seen}, and no node gives Ray more than {gigabytes(largest)}",
            "lower labels.k1, add a machine with more memory, or start Ray with --memory if the machine has it",
        )
    name, (images, needed) = max(tasks.items(), key=lambda item: item[1][1])
    fitting = [machine for machine, memory in machines.items() if memory >= needed]
    return Line(
        "ok",
        "labelling",
        f"{len(tasks)} tasks; the largest, {name} of {images:,} images, takes about {gigabytes(needed)} and fits "
        f"{len(fitting)} of {len(machines)} nodes, the largest of which gives Ray {gigabytes(largest)}",
    )
