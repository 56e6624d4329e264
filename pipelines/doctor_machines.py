"""Verdicts of `itkm doctor` on each machine for itself: GPUs, disks, shared memory, and room for labelling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from itkm_core.clustering.memory import gigabytes
from pipelines.doctor_judge import Facts, Line, could_not, errors_of, spread

SPILL_LIMIT = 0.95
"""Share of a disk in use above which Ray writes no more objects to it (its local_fs_capacity_threshold)."""


def judge_gpus(counted: Mapping[str, float], facts: Facts, *, cuml_needed: bool) -> Line | None:
    """counted: GPUs that Ray gives out, by node. facts: of nodes that were asked. None where nobody has a GPU."""
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
            "install a driver and a PyTorch that fit each other, and cuML where it is asked for (the extra `gpu`), or "
            "start Ray there with --num-gpus=0"
        )
        return could_not("gpus", {**errors, **fails}, advice)
    if notes:
        return Line(
            "warn",
            "gpus",
            spread(notes),
            "GPUs that Ray does not count stay idle: start it with --num-gpus",
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
    """training: nodes that keep a copy of the corpus, which takes `corpus_bytes`, in their cache."""
    full, small, tight = {}, {}, {}
    for name, each in facts.items():
        spill, cache = each["spill"], each["cache"]
        if spill.get("total"):
            used = 1 - spill["free"] / spill["total"]
            if used >= SPILL_LIMIT:
                full[name] = f"{spill['path']} is {used:.0%} full"
            elif spill["free"] < each["store"].get("bytes", 0):
                tight[name] = f"{gigabytes(spill['free'])} free at {spill['path']}"
        if name not in training or "free" not in cache:
            continue
        needed = max(0, corpus_bytes - cache["have"])
        if not cache["writable"]:
            small[name] = f"{cache['path']} cannot be written"
        elif cache["free"] < needed:
            small[name] = (
                f"{gigabytes(cache['free'])} free at {cache['path']}, the corpus takes {gigabytes(needed)}"
            )
    errors = {**errors_of(facts, "spill"), **errors_of(facts, "cache")}
    if errors:
        return could_not(
            "disk", errors, "point ITKM_CACHE and Ray's --temp-dir at folders that can be read"
        )
    if full or small:
        advice = "make room, or point Ray's --temp-dir (spilled objects) or ITKM_CACHE (the corpus) at another disk"
        return could_not("disk", {**full, **small}, advice)
    if tight:
        advice = "objects that do not fit the object store are written there: make room, or use another --temp-dir"
        return Line("warn", "disk", f"less than one object store: {spread(tight)}", advice)
    spills = [each["spill"]["free"] for each in facts.values() if "free" in each["spill"]]
    caches = [facts[name]["cache"]["free"] for name in training if "free" in facts[name]["cache"]]
    parts = [
        f"at least {gigabytes(min(spills))} free for spilled objects"
        if spills
        else "spilling not seen"
    ]
    if caches:
        takes = f", of which the corpus takes {gigabytes(corpus_bytes)}" if corpus_bytes else ""
        parts.append(f"{gigabytes(min(caches))} for the cache{takes}")
    return Line("ok", "disk", ", ".join(parts))


def judge_shared_memory(facts: Facts) -> Line | None:
    """None where no node has a /dev/shm, as on macOS."""
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
            "a store that outgrows it ends Ray's processes: --shm-size of the container, an emptyDir of medium Memory, "
            "or a smaller --object-store-memory"
        )
        return could_not("/dev/shm", small, advice)
    elsewhere = {
        name: store["folder"]
        for name, store in stores.items()
        if store["folder"] not in ("", "/dev/shm")
    }
    if elsewhere:
        advice = "/dev/shm was too small when Ray started, and a disk is slower: give it more room and start Ray anew"
        return Line("warn", "/dev/shm", f"the object store is in {spread(elsewhere)}", advice)
    least = min(stores.values(), key=lambda store: store["shm"] - store["bytes"])
    seen = (
        f"{gigabytes(least['shm'])} for an object store of {gigabytes(least['bytes'])}, or better"
    )
    return Line("ok", "/dev/shm", seen)


def judge_labelling(tasks: Mapping[str, tuple[int, int]], machines: Mapping[str, int]) -> Line:
    """tasks: images and bytes needed of each scenario/group. machines: bytes that Ray may give on each node."""
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
            "lower labels.k1, add a machine with more memory, or start Ray there with --memory if it has it",
        )
    name, (images, needed) = max(tasks.items(), key=lambda item: item[1][1])
    fitting = [machine for machine, memory in machines.items() if memory >= needed]
    return Line(
        "ok",
        "labelling",
        f"{len(tasks)} tasks; the largest, {name} of {images:,} images, takes about {gigabytes(needed)} and fits "
        f"{len(fitting)} of {len(machines)} nodes, of which the largest gives Ray {gigabytes(largest)}",
    )
