from __future__ import annotations

from itkm_core.errors import CorpusError
from pipelines.faults import users_error


class Wrapped(Exception):
    """As Ray's errors: what happened in another process is an attribute."""

    def __init__(self, cause: BaseException | None) -> None:
        super().__init__("wrapped")
        self.cause = cause


def test_a_users_error_is_found_however_deep_it_is() -> None:
    mine = CorpusError("mine")
    middle = RuntimeError("middle")
    middle.__cause__ = Wrapped(mine)
    assert users_error(mine) is mine
    assert users_error(Wrapped(middle)) is mine


def test_a_fault_has_none() -> None:
    round_about = Wrapped(None)
    round_about.cause = Wrapped(round_about)  # and it ends
    for error in (KeyError("x"), Wrapped(KeyError("x")), round_about):
        assert users_error(error) is None
