from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow as pa
import pytest

from itkm_core.collections.collection import Collection, count_found


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


@pytest.fixture
def published() -> Callable[[str], Path]:
    """published(name) -> the folder of a collection's split files as published; skips the test where it is not."""
    repository = Path(__file__).parents[3]
    root = Path(os.environ.get("ITKM_COLLECTIONS", repository.parent / "shared" / "collections"))

    def find(name: str) -> Path:
        if not (root / name).exists():
            pytest.skip(f"{root / name} is not there; set ITKM_COLLECTIONS to the published files")
        return root / name

    return find


@pytest.fixture
def check_counts() -> Callable[..., None]:
    """check_counts(collection, rows, variant) fails unless every part has as many images and people as published."""

    def check(collection: Collection, rows: pa.Table, variant: str = "") -> None:
        found = count_found(collection.expected, rows, variant)
        assert found
        for expected, *here in found:
            known = (expected.images, expected.persons)
            assert here == [
                got if want is None else want for got, want in zip(here, known, strict=True)
            ], expected.label

    return check
