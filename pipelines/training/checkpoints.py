"""Mid-stage checkpoints: files of one folder, which Ray Train keeps and hands to the workers of the next start."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from itkm_core.errors import StorageError, shortened
from itkm_core.storage.object_store import patiently

STATE = "state.json"  # in every checkpoint; its "step" is the number of steps done


class saved:
    """A mid-stage checkpoint in a temporary folder on rank 0; None on the other workers."""

    def __init__(self, rank: int, files: Callable[[], Mapping[str, bytes]]) -> None:
        self.rank, self.files = rank, files
        self.folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Any:
        from ray.train import Checkpoint

        if self.rank != 0:
            return None
        self.folder = tempfile.TemporaryDirectory(prefix="itkm-")
        for name, data in self.files().items():
            (Path(self.folder.name) / name).write_bytes(data)
        return Checkpoint.from_directory(self.folder.name)

    def __exit__(self, *_: object) -> None:
        if self.folder is not None:
            self.folder.cleanup()


@contextmanager
def opened(checkpoint: Any) -> Iterator[Path]:
    """The files of a mid-stage checkpoint in a local folder, which the workers of a node share."""
    with ExitStack() as stack:
        yield Path(patiently(lambda: stack.enter_context(checkpoint.as_directory())))


def resume(checkpoint: Any, name: str, load: Callable[[Path, Any], None]) -> int:
    """Restore a stage from a mid-stage checkpoint. Returns the number of steps done, 0 without a checkpoint.

    name: of the file with the stage's state. load: is given the checkpoint's folder and that state.

    Raises:
        StorageError: as `read_state`.
    """
    if checkpoint is None:
        return 0
    with opened(checkpoint) as folder:
        load(folder, read_state((folder / name).read_bytes(), f"{checkpoint.path}/{name}"))
        return int(json.loads((folder / STATE).read_bytes())["step"])


def state_bytes(state: Any) -> bytes:
    """What `read_state` reads."""
    import torch

    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


def record_bytes(**record: Any) -> bytes:
    """A checkpoint's state.json."""
    return json.dumps(record, indent=1).encode()


def read_state(data: bytes, name: str) -> Any:
    """What `torch.save` wrote, on the CPU. Nothing in the file is executed: a pickle with code in it is refused.

    name: the file, for the error.

    Raises:
        StorageError: the file is damaged, or holds anything but tensors and plain values.
    """
    import torch

    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # hostile bytes surface as any of a dozen types
        said = shortened(error)
        # Not a TrainingError, which every worker raises at the same step: this may be one machine's disk.
        raise StorageError(
            f"{name} is damaged, or holds more than tensors and plain values, and was not read ({said}): delete the "
            "step's folder to redo it"
        ) from error
