"""One small Ray for all tests of the pipelines."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from made import encoded


@pytest.fixture(scope="session")
def local_ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A local Ray of 2 CPUs for the session, with token authentication and a HOME of its own.

    A bare `ray.init` would write a token to the user's HOME, and later tests would depend on it.
    """
    import ray

    assert not ray.is_initialized(), "a test started a Ray of its own and left it running"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        # Ray reads the mode when it is imported, which may have been long ago. Left unset, `ray.init`
        # turns token authentication on, for this process too. Set and then taken away, the patch also
        # undoes what `ray.init` sets.
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.delenv("RAY_AUTH_MODE")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        # Its workers import the tests' modules, and so what those import.
        patch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        for name in ("RAY_ADDRESS", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
            patch.delenv(name, raising=False)
        ray.init(
            address="local",
            num_cpus=2,
            object_store_memory=150 * 2**20,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)
        yield
        ray.shutdown()


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
