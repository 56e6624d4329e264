"""Ray's token is a password: who reads it runs code as the one who started Ray."""

from __future__ import annotations

import contextlib
from pathlib import Path


def keep_token_private() -> None:
    """Close ~/.ray to others. Ray writes the token there in a file that everybody may read."""
    folder = Path.home() / ".ray"
    with contextlib.suppress(
        OSError
    ):  # a HOME that cannot be written: Ray says so, or needs no file
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
