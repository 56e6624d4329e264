"""What itkm prints: text as it is, in what the terminal can show. No failure to print ends the work."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from io import TextIOWrapper
from typing import IO, Any, cast

import rich.console
from rich.text import Text


class Console(rich.console.Console):
    """Rich's console without markup: a name with `[red]` or `:smile:` in it is printed so. `headed` gives colours.

    A line stays one, however narrow the terminal, so that paths and commands can be copied. `lost` is why something
    could not be printed, on a full disk or to a terminal that is gone; only a pipe without a reader is an error.
    """

    def __init__(self, **options: Any) -> None:
        self.lost = ""
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def print(self, *objects: Any, **options: Any) -> None:
        lines = all(isinstance(each, (str, Text)) for each in objects)
        super().print(*objects, **{"soft_wrap": lines, "highlight": not lines, **options})

    @property
    def file(self) -> IO[str]:
        return cast(IO[str], _Forgiving(super().file, self))

    @file.setter
    def file(self, new_file: IO[str]) -> None:
        self._file = new_file

    def finish(self) -> None:
        """Write out what is still in the stream."""
        self.file.flush()


class _Forgiving:
    """A console's stream, on which a failure is noted and raises nothing."""

    def __init__(self, stream: IO[str], console: Console) -> None:
        self._stream, self._console = stream, console

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        self._do(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._do(self._stream.flush)

    def _do(self, action: Callable[[], object]) -> None:
        try:
            action()
        except BrokenPipeError:
            raise
        except OSError as error:
            self._console.lost = error.strerror or str(error)


def headed(word: str, style: str, text: str = "") -> Text:
    """`word` in a style of rich's, then the text as it is."""
    return Text.assemble((word, style), f" {text}" if text else "")


def settle_streams() -> None:
    """Have stdout and stderr print a `?` for what their encoding lacks, and nowhere if they are closed."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - until the process ends
        elif isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
