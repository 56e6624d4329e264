"""Run a command and watch the memory of its whole process tree."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Watched:
    """`facts`: the JSON lines it printed, merged. In bytes: `peak`, and `before`, the memory before its first line."""

    facts: dict[str, Any]
    peak: int
    before: int


def watch(
    command: Sequence[str], environment: Mapping[str, str], seconds: float = 0.005
) -> Watched:
    """Sum the resident memory of the process and its children every `seconds`.

    Memory that processes share is counted once per process.
    """
    import psutil

    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(command, stdout=out, env={**os.environ, **environment})
        tree, peak, before = psutil.Process(process.pid), 0, 0
        while process.poll() is None:
            held = 0
            try:
                for one in (tree, *tree.children(recursive=True)):
                    held += one.memory_info().rss
            except psutil.NoSuchProcess:
                continue
            if not os.fstat(out.fileno()).st_size:
                before = held
            peak = max(peak, held)
            time.sleep(seconds)
        if process.returncode:
            raise SystemExit(f"{' '.join(command)} failed with exit status {process.returncode}")
        out.seek(0)
        facts = {key: value for line in out for key, value in json.loads(line).items()}
    return Watched(facts, peak, before)
