from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest


@pytest.fixture
def tree(tmp_path: Path) -> Callable[[Iterable[str]], str]:
    """tree(paths) -> a folder with a file at each path. Listings open no picture, so none is drawn."""

    def make(paths: Iterable[str]) -> str:
        root = tmp_path / "root"
        root.mkdir(exist_ok=True)
        for path in paths:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(b"x" * (1 + len(path) % 5))
        return str(root)

    return make
