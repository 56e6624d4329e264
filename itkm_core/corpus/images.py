"""Encoded pictures to pixels, safely: any bytes give pixels or a reason why not.

Pictures are shown upright: an EXIF orientation is honoured, and heights and widths are those of the
upright picture. Grey pictures become three equal channels; of 16-bit grey the upper byte is kept;
transparency is dropped. Of a JPEG that holds several pictures (MPO, gain maps) the first is used.
Only pixels count: notes, colour profiles and EXIF beside them may be damaged or of any size.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from itkm_core.corpus.png import only_pixels

Encoded = bytes | bytearray | memoryview
"""Encoded picture bytes: anything with the buffer protocol, such as pyarrow.Buffer."""

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF")
_SIXTEEN_BIT_MODES = frozenset({"I;16", "I;16B", "I;16L", "I;16N"})
_MODES = _SIXTEEN_BIT_MODES | {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"}

SIGNATURE_BYTES = 18
_SIGNATURES = (
    *(b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a"),
    *(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
)
_BMP_HEAD = 14 + 40 + 4 * 256  # file header, picture header, palette
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)

_DAMAGED = ("unreadable", "truncated")

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

REASONS = {
    "bad_name": "the file's name is not UTF-8",
    "outside": "a link leads out of the source's folder",
    "missing": "there is no such file, or it is not a regular file",
    "empty": "zero bytes",
    "too_many_bytes": "more bytes than max_bytes",
    "too_many_pixels": "more pixels than max_pixels",
    "unreadable": "not a picture of a known format, or broken inside",
    "truncated": "the end of the picture is missing",
    "animated": "more than one frame",
    "bad_box": "a tracker's box that holds no pixel of its frame",
    "unsupported": "pixels of a kind that has no plain colours (32-bit, float, LAB)",
}


class BadImage(Exception):
    """A picture that cannot be used; `reason` is a key of `REASONS`."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class ImageLimits:
    """Limits that are checked before a picture is decoded.

    max_pixels: height x width at most this (Pillow's own bound of about 179 million also holds).
    max_bytes: encoded size at most this.
    """

    max_pixels: int = 4096 * 4096
    max_bytes: int = 32 * 1024 * 1024


NO_LIMITS = ImageLimits(max_pixels=2**62, max_bytes=2**62)


class Examined(NamedTuple):
    """A picture's height and width in pixels; of 16-bit grey the lowest and highest value, of others -1."""

    height: int
    width: int
    low: int = -1
    high: int = -1


def examine_image(data: Encoded, limits: ImageLimits) -> Examined:
    """What a picture is, after decoding `data` in full, so that a truncated picture is noticed.

    Raises:
        BadImage: with the reason, for anything that is not one whole still picture within `limits`.
    """
    image = _load(data, limits)
    width, height = image.size
    if image.mode not in _SIXTEEN_BIT_MODES:
        return Examined(height, width)
    levels = np.asarray(image)
    return Examined(height, width, int(levels.min()), int(levels.max()))


def inspect_image(data: Encoded, limits: ImageLimits) -> tuple[int, int]:
    """(height, width) in pixels; see `examine_image`."""
    found = examine_image(data, limits)
    return found.height, found.width


def eight_bits(data: Encoded, depth: int) -> bytes:
    """16-bit grey of which only the lower `depth` bits are used, as an upright, uncompressed 8-bit picture (BMP).

    Raises:
        BadImage: see `examine_image`.
    """
    levels = np.asarray(_load(data, NO_LIMITS)) >> (depth - 8)
    buffer = io.BytesIO()
    Image.fromarray(np.minimum(levels, 255).astype(np.uint8)).save(buffer, "BMP")
    return buffer.getvalue()


def eight_bits_size(height: int, width: int) -> int:
    """How many bytes `eight_bits` gives for a picture of this size."""
    return _BMP_HEAD + height * -(-width // 4) * 4


def decode_image(data: Encoded, size: tuple[int, int]) -> np.ndarray:
    """uint8 [h, w, 3] RGB pixels of an encoded picture, resized to `size` = (h, w).

    Resizing is bicubic with antialiasing; a picture that already has that size is left as it is.

    Raises:
        BadImage: the bytes are not one whole still picture. Sizes were checked by ingest.
    """
    height, width = size
    image = _in_colour(data)
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    return np.array(image)


def decode_whole(data: Encoded) -> np.ndarray:
    """uint8 [height, width, 3] RGB pixels of an encoded picture in its own size. Raises as `decode_image`."""
    return np.array(_in_colour(data))


def _in_colour(data: Encoded) -> Image.Image:
    image = _load(data, NO_LIMITS)
    if image.mode in _SIXTEEN_BIT_MODES:
        # Pillow clips 16-bit grey to 255 instead of scaling it.
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image if image.mode == "RGB" else image.convert("RGB")


def looks_like_picture(head: bytes) -> bool:
    """Whether a file that begins with these SIGNATURE_BYTES is of one of FORMATS, as far as one can tell."""
    if head.startswith(_SIGNATURES):
        return True
    if head[:4] == b"RIFF":
        return head[8:12] == b"WEBP"
    return head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS


def _load(data: Encoded, limits: ImageLimits) -> Image.Image:
    """The upright picture with its pixels decoded, or `BadImage`."""
    num_bytes = memoryview(data).nbytes
    if num_bytes == 0:
        raise BadImage("empty")
    if num_bytes > limits.max_bytes:
        raise BadImage("too_many_bytes", f"{num_bytes} > {limits.max_bytes}")
    try:
        return _decoded(data, limits)
    except BadImage as bad:
        pixels = only_pixels(data) if bad.reason in _DAMAGED else None
        if pixels is None:
            raise
        try:
            return _decoded(pixels, limits)
        except BadImage as again:
            raise (bad if again.reason in _DAMAGED else again) from None


def _decoded(data: Encoded, limits: ImageLimits) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        width, height = image.size
        if width * height > limits.max_pixels:
            raise BadImage("too_many_pixels", f"{width} x {height} > {limits.max_pixels}")
        # An MPO file is a JPEG with further pictures after the one that viewers show, and no animation.
        if image.format != "MPO" and getattr(image, "is_animated", False):
            raise BadImage("animated")
        if image.mode not in _MODES:
            raise BadImage("unsupported", f"mode {image.mode}")
        image.load()
    except BadImage:
        raise
    except Image.DecompressionBombError as error:
        raise BadImage("too_many_pixels", str(error)) from error
    except UnidentifiedImageError as error:
        raise BadImage("unreadable", "not a picture of a known format") from error
    except Exception as error:  # Pillow's decoders raise all kinds on hostile bytes
        cut_short = "truncated" in str(error).lower() or _is_short_webp(data)
        reason = "truncated" if cut_short else "unreadable"
        raise BadImage(reason, f"{type(error).__name__}: {error}") from error
    turn = _turn(image)
    return image if turn is None else image.transpose(turn)


def _turn(image: Image.Image) -> Image.Transpose | None:
    """How the EXIF orientation turns a picture; None without one, or where the EXIF cannot be read."""
    try:
        return _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 - of hostile bytes; what stands beside the pixels does not spoil them
        return None


def _is_short_webp(data: Encoded) -> bool:
    """Whether a WebP file is shorter than its header says; the decoder gives no reason."""
    head = bytes(data[:12])
    said = int.from_bytes(head[4:8], "little") + 8
    return head[:4] == b"RIFF" and head[8:] == b"WEBP" and len(data) < said
