"""A user's error inside what Ray, Ray Data or Ray Train made of it."""

from __future__ import annotations

from itkm_core.errors import ItkmError


def users_error(error: BaseException) -> ItkmError | None:
    """The first ItkmError among `error` and what caused it, here or in the process it comes from."""
    cause: BaseException | None = error
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:
        if isinstance(cause, ItkmError):
            return cause
        seen.add(id(cause))
        cause = getattr(cause, "cause", None) or cause.__cause__
    return None
