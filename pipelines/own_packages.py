"""Ray's workers import itkm's own packages, also where a user has others of the same names.

A worker looks in the folder in which the command was started and in those of PYTHONPATH before it looks where itkm is
installed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

FOLDER = str(Path(__file__).resolve().parent.parent)
PACKAGES = ("itkm_core", "pipelines")


def for_workers() -> dict[str, Any] | None:
    """The `runtime_env` for `ray.init`. None where workers find the packages without it, which starts them sooner."""
    hidden = any(_is_hidden(package) for package in PACKAGES)
    return {"worker_process_setup_hook": _import_from(FOLDER)} if hidden else None


def _is_hidden(package: str) -> bool:
    places = [os.getcwd(), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    for place in filter(None, places):
        found = PathFinder.find_spec(package, [place])
        if (
            found is not None and found.origin is not None
        ):  # a folder without __init__.py hides nothing
            return Path(found.origin).resolve().parent.parent != Path(FOLDER)
    return False


def _import_from(folder: str) -> Callable[[], None]:
    """A function that imports the packages from `folder`, if they are there; other nodes may have them elsewhere."""
    names = PACKAGES

    def import_own() -> None:  # not importable by name, so Ray sends it as code
        import importlib
        import os

        if not all(os.path.isdir(os.path.join(folder, name)) for name in names):
            return
        sys.path.insert(0, folder)
        try:
            for name in names:
                importlib.import_module(name)
        finally:
            sys.path.remove(folder)

    return import_own
