"""Keeps secrets out of printed errors: a library's message can repeat headers and environment variables."""

from __future__ import annotations

import os
import re

HIDDEN = "***"

ENVIRONMENT = (
    "RAY_AUTH_TOKEN",
    "RAY_REDIS_PASSWORD",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
)
"""Variables whose values are never shown."""

# A slash in a secret is often left unescaped. A number after the colon is a port.
_PASSWORD = re.compile(r"(?<=://)[^\s/@:'\"]*:(?!\d{1,5}(?:[/\s'\"]|$))[^\s@'\"]+@")
_NAMED = re.compile(
    r"(?i)([\w.-]*(?:secret|passw|credential|signature|auth_token|security-token|session_token|access_?key|account_?key)"
    r"[\w.-]*['\"]?\s?[=:]\s?['\"]?)[^\s&,;'\"]+"
)
_HEADER = re.compile(r"(?i)\b(bearer )[\w.~+/=-]{8,}")


def without_secrets(text: str) -> str:
    """`text` with `***` in place of passwords in URLs, values named like secrets, and values of `ENVIRONMENT`."""
    for name in ENVIRONMENT:
        value = os.environ.get(name, "")
        if len(value) >= 8:  # a shorter one is no secret, and could be part of any word
            text = text.replace(value, HIDDEN)
    text = _PASSWORD.sub(f"{HIDDEN}@", text)
    text = _NAMED.sub(rf"\g<1>{HIDDEN}", text)
    return _HEADER.sub(rf"\g<1>{HIDDEN}", text)
