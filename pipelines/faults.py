"""Whose mistake an error is: what a user can change reads as one line, however Ray has wrapped it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from itkm_core.errors import ConfigError, ItkmError


def users_error(error: BaseException) -> ItkmError | None:
    """The first ItkmError among `error` and its causes, here or in the process it comes from.

    An error with a `cause` is Ray's account of one that was raised elsewhere. It can also be of that one's class,
    but its words are a traceback.
    """
    found: BaseException | None = error
    seen: set[int] = set()
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        inner = getattr(found, "cause", None)
        if not isinstance(inner, BaseException):
            if isinstance(found, ItkmError):
                return found
            inner = found.__cause__
        found = inner
    return None


def users_words(error: BaseException) -> str | None:
    """What to tell a user who can change something; None for a fault of ours."""
    explain = getattr(error, "format_message", None)  # a wrong option, in the words of click
    if explain is not None:
        return str(explain())
    mine = users_error(error)
    return None if mine is None else str(mine)


@contextmanager
def unwrapped() -> Iterator[None]:
    """An ItkmError that was raised in another process leaves the block as itself, any other error as it came."""
    try:
        yield
    except Exception as error:
        mine = users_error(error)
        if mine is None or mine is error:
            raise
        raise mine from None


class Carrier(Exception):
    """Carries an ItkmError through Ray Data, which adds words of its own to those of an exception."""

    cause: ItkmError


@contextmanager
def carried() -> Iterator[None]:
    """Around what Ray Data runs, and as a decorator: its ItkmErrors come out as they are where `unwrapped` is."""
    try:
        yield
    except ItkmError as error:
        carrier = Carrier()
        carrier.cause = error
        raise carrier from error


def refuse_bytes(argument: str) -> None:
    """Refuse what was typed if it is no text: it could neither be stored nor handed to a library of another language.

    Raises:
        ConfigError: `argument` has bytes that the locale's encoding does not know.
    """
    try:
        argument.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"{argument!a} is no text in this locale's encoding, {sys.getfilesystemencoding()}: rename the file, "
            "or set LC_ALL to a locale of UTF-8, such as C.UTF-8"
        ) from error
