"""One small Ray for all tests of the pipelines."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made import encoded


@pytest.fixture(scope="session")
def own_ray() -> Callable[[Path], dict[str, str]]:
    """own_ray(home) -> the environment of a process that starts a Ray of its own."""

    def environment(home: Path) -> dict[str, str]:
        ours = ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
        kept = {name: value for name, value in os.environ.items() if name not in ours}
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 4}
        return {**kept, **token, "HOME": str(home), "OMP_NUM_THREADS": "1"}

    return environment


@pytest.fixture
def picture_tree(tmp_path: Path) -> Callable[..., Path]:
    """picture_tree(paths, height, name) -> a folder with a noise picture at each path."""

    def make(paths: list[str], *, height: int = 16, name: str = "pictures") -> Path:
        rng = np.random.default_rng(len(paths))
        for path in paths:
            file = tmp_path / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 256, (height, 8, 3), dtype=np.uint8)
            file.write_bytes(encoded(pixels))
        return tmp_path / name

    return make


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all examples of a module's tests by hypothesis."""
    return tmp_path_factory.mktemp("fuzz")
