"""Reads that a busy store refuses; tests/e2e/test_s3.py has the refusal of a real S3 client."""

from __future__ import annotations

import pyarrow as pa
import pytest
from pyarrow import fs

from itkm_core.storage import object_store
from itkm_core.storage.object_store import MAX_ATTEMPTS, patiently

REFUSED = "AWS Error INTERNAL_FAILURE during GetObject operation: Failed to flush response stream (eof: 0, bad: 1)"


class Store:
    def __init__(self, refusals: int, says: str = REFUSED) -> None:
        self.asked, self.refusals, self.says = 0, refusals, says

    def __call__(self) -> bytes:
        self.asked += 1
        if self.asked <= self.refusals:
            raise OSError(self.says)
        return b"1"


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    seconds: list[float] = []
    monkeypatch.setattr(object_store.time, "sleep", seconds.append)
    return seconds


def test_a_read_is_asked_again_until_the_store_gives_it(waits: list[float]) -> None:
    store = Store(MAX_ATTEMPTS - 1)
    assert patiently(store) == b"1"
    assert len(waits) == MAX_ATTEMPTS - 1
    assert waits == sorted(waits)
    assert 5 < sum(waits) < 60


def test_a_store_that_never_gives_it_is_an_error_with_its_words(waits: list[float]) -> None:
    store = Store(10**9)
    with pytest.raises(OSError, match="flush response stream"):
        patiently(store)
    assert store.asked == MAX_ATTEMPTS


@pytest.mark.parametrize("error", ["AWS Error ACCESS_DENIED", "[Errno 2] not there"])
def test_any_other_error_is_one_at_once(error: str, waits: list[float]) -> None:
    store = Store(1, error)
    with pytest.raises(OSError, match=r"ACCESS|not there"):
        patiently(store)
    assert (store.asked, waits) == (1, [])


def test_pyarrow_still_hands_out_the_options_of_a_connection() -> None:
    wanted = {"region": "eu-west-1", "endpoint_override": "localhost:1", "scheme": "http"}
    pickled = fs.S3FileSystem(**wanted, anonymous=True).__reduce__()
    try:
        _, (options,) = pickled
        found = {name: options[name] for name in wanted}
        again = fs.S3FileSystem(**options)
    except (TypeError, ValueError, KeyError) as error:
        pytest.fail(
            f"pyarrow {pa.__version__} pickles an S3FileSystem as {pickled}, not as a function and its keyword "
            f"arguments ({error!r}): mend `_options` in itkm_core/storage/object_store.py"
        )
    assert found == wanted
    assert again.region == "eu-west-1"
