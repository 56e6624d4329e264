"""`python -m pipelines.doctor.gpus`: the GPUs that torch, faiss and cuML see on this machine, as a line of JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from itkm_core.errors import shortened


def torch_gpus() -> dict[str, Any]:
    """Name and memory of each device, which has to compute something first."""
    import torch

    torch.cuda.init()  # raises with the reason if there is no GPU
    devices = []
    for index in range(torch.cuda.device_count()):
        assert torch.ones(2, device=f"cuda:{index}").sum().item() == 2
        free, total = torch.cuda.mem_get_info(index)
        name = torch.cuda.get_device_name(index)
        devices.append({"name": name, "bytes": total, "free": free})
    return {"cuda": torch.version.cuda, "devices": devices}


def faiss_gpus() -> dict[str, Any]:
    """The number of GPUs that faiss sees, 0 for faiss-cpu."""
    import faiss

    return {"version": faiss.__version__, "count": int(faiss.get_num_gpus())}


def cuml_gpus() -> dict[str, Any]:
    """The version of cuML, which has to cluster three points on the device first."""
    import cuml
    import numpy as np

    points = np.array([[0.0], [0.1], [9.0]], np.float32)
    labels = np.asarray(cuml.DBSCAN(eps=1.0, min_samples=2).fit_predict(points))
    assert labels.tolist() == [0, 0, -1]
    return {"version": cuml.__version__}


def asked(library: str, question: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
    """The answer, or what went wrong, or None if the library is not installed."""
    if find_spec(library) is None:
        return None
    try:
        return question()
    except Exception as error:  # noqa: BLE001 - three libraries and a driver, each with its own types
        return {"error": f"{type(error).__name__}: {shortened(error)}"}


if __name__ == "__main__":
    answers = {"torch": torch_gpus, "faiss": faiss_gpus, "cuml": cuml_gpus}
    print(json.dumps({name: asked(name, question) for name, question in answers.items()}))
