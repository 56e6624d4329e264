"""PNG without what stands beside its pixels."""

from __future__ import annotations

import struct
import zlib

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Of the chunks that a reader may skip (a small first letter), those that decide how a picture is shown.
_KEPT = (b"tRNS", b"eXIf", b"acTL", b"fcTL", b"fdAT")


def only_pixels(data: bytes | bytearray | memoryview) -> bytes | None:
    """A PNG's pixels alone, without texts, colour profiles and anything with a bad checksum beside them.

    None if it is no PNG, or nothing can be left out. A chunk that is cut short stays if it is needed.
    """
    whole = bytes(data)
    if not whole.startswith(_SIGNATURE):
        return None
    kept, at, ended = [_SIGNATURE], len(_SIGNATURE), False
    while not ended and at + 8 <= len(whole):
        length, name = struct.unpack_from(">I4s", whole, at)
        end = at + 12 + length
        crc = int.from_bytes(whole[end - 4 : end], "big")
        critical = not name[0] & 0x20
        if critical or (name in _KEPT and zlib.crc32(whole[at + 4 : end - 4]) == crc):
            kept.append(whole[at:end])
        at, ended = end, name == b"IEND"
    bare = b"".join(kept)
    return bare if len(bare) < len(whole) else None
