from __future__ import annotations

import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import encoded
from PIL import Image

from itkm_core.corpus.images import (
    REASONS,
    BadImage,
    ImageLimits,
    decode_image,
    decode_whole,
    eight_bits,
    eight_bits_size,
    examine_image,
    inspect_image,
)

LIMITS = ImageLimits()
PIXELS = np.random.default_rng(0).integers(0, 256, (20, 10, 3), dtype=np.uint8)
PICTURE = Image.fromarray(PIXELS)


def png(width: int, height: int, data: bytes = b"\0" * 1000) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def reason(data: bytes, limits: ImageLimits = LIMITS) -> str:
    with pytest.raises(BadImage) as caught:
        inspect_image(data, limits)
    assert caught.value.reason in REASONS
    return caught.value.reason


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_lossless_pictures_come_back_as_they_were(kind: str) -> None:
    data = encoded(PICTURE, kind)
    assert inspect_image(data, LIMITS) == (20, 10)
    np.testing.assert_array_equal(decode_image(data, (20, 10)), PIXELS)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "GIF"])
def test_lossy_pictures_have_their_size(kind: str) -> None:
    data = encoded(PICTURE, kind)
    assert inspect_image(memoryview(data), LIMITS) == (20, 10)
    assert decode_image(memoryview(data), (20, 10)).shape == (20, 10, 3)


def test_resizing_is_pillows_bicubic() -> None:
    expected = np.asarray(PICTURE.resize((6, 14), Image.Resampling.BICUBIC))
    decoded = decode_image(encoded(PICTURE), (14, 6))
    np.testing.assert_array_equal(decoded, expected)
    assert decoded.dtype == np.uint8
    assert decoded.flags.writeable


def test_grey_becomes_three_equal_channels_and_sixteen_bits_keep_the_upper_byte() -> None:
    grey = np.arange(200, dtype=np.uint8).reshape(20, 10)
    deep = grey.astype(np.uint16) * 256 + 77
    for image in (Image.fromarray(grey), Image.fromarray(deep)):
        decoded = decode_image(encoded(image), (20, 10))
        np.testing.assert_array_equal(decoded, np.repeat(grey[..., None], 3, axis=2))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_every_plain_kind_of_pixels_decodes(mode: str) -> None:
    data = encoded(PICTURE.convert(mode), "TIFF")
    assert inspect_image(data, LIMITS) == (20, 10)
    expected = np.asarray(PICTURE.convert(mode).convert("RGB"))
    np.testing.assert_array_equal(decode_image(data, (20, 10)), expected)


def test_an_exif_orientation_is_honoured() -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    data = encoded(PICTURE, exif=turned)
    assert inspect_image(data, LIMITS) == (10, 20)
    np.testing.assert_array_equal(decode_image(data, (10, 20)), np.rot90(PIXELS, -1))


def test_a_picture_behind_the_first_of_a_jpeg_is_not_a_film() -> None:
    data = encoded(PICTURE, "MPO", save_all=True, append_images=[PICTURE.rotate(180)])
    assert inspect_image(data, LIMITS) == (20, 10)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_more_than_one_frame_is_animated(kind: str) -> None:
    assert (
        reason(encoded(PICTURE, kind, save_all=True, append_images=[PICTURE.rotate(180)]))
        == "animated"
    )


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "WEBP"])
def test_a_missing_end_is_noticed(kind: str) -> None:
    data = encoded(PICTURE, kind)
    assert reason(data[: len(data) * 2 // 3]) == "truncated"


def test_what_is_no_picture_has_its_reason() -> None:
    assert reason(b"") == "empty"
    assert reason(b"hello world") == "unreadable"
    assert reason(png(0, 10)) == "unreadable"
    assert reason(encoded(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF")) == "unsupported"


def test_a_format_out_of_the_list_is_not_opened() -> None:
    # Postscript and the like would start another program.
    assert reason(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n") == "unreadable"


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [5_000, 10_000, 60_000])
def test_a_bomb_is_refused_before_it_is_decoded(side: int) -> None:
    data = png(side, side)
    tracemalloc.start()
    try:
        assert reason(data) == "too_many_pixels"
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_the_limits_themselves_are_allowed() -> None:
    data = encoded(PICTURE)
    exact = ImageLimits(max_pixels=200, max_bytes=len(data))
    assert inspect_image(data, exact) == (20, 10)
    assert reason(data, ImageLimits(max_pixels=199)) == "too_many_pixels"
    assert reason(data, ImageLimits(max_bytes=len(data) - 1)) == "too_many_bytes"


def chunk(name: bytes, body: bytes, *, wrong: int = 0) -> bytes:
    crc = zlib.crc32(name + body) ^ wrong
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", crc)


HUGE = zlib.compress(b"x" * (2**20 + 9))
EXIF = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"


@pytest.mark.parametrize(
    "beside",
    [
        chunk(b"zTXt", b"note\0\0" + HUGE),
        chunk(b"iTXt", b"note\0\1\0\0\0" + HUGE),
        chunk(b"iCCP", b"profile\0\0" + HUGE),
        chunk(b"iCCP", b"profile\0\0broken"),
        chunk(b"zTXt", b"note\0\0broken"),
        chunk(b"zTXt", b""),
        chunk(b"tEXt", b"note\0text", wrong=1),
        chunk(b"eXIf", b"broken"),
        chunk(b"gAMA", b""),
        chunk(b"pHYs", b"1"),
        chunk(b"tRNS", b"1", wrong=1),
        chunk(b"acTL", b"", wrong=1),
        b"".join(chunk(b"zTXt", b"n\0\0" + zlib.compress(b"x" * 2**19)) for _ in range(150)),
    ],
)
@pytest.mark.parametrize("before_pixels", [True, False])
def test_what_stands_beside_the_pixels_does_not_spoil_them(
    beside: bytes, before_pixels: bool
) -> None:
    data = encoded(PICTURE)
    at = data.index(b"IDAT" if before_pixels else b"IEND") - 4
    spoilt = data[:at] + beside + data[at:]
    assert inspect_image(spoilt, LIMITS) == (20, 10)
    np.testing.assert_array_equal(decode_image(memoryview(spoilt), (20, 10)), PIXELS)


def test_pixels_without_what_spoils_them_are_still_upright() -> None:
    data = encoded(PICTURE)
    at = data.index(b"IDAT") - 4
    spoilt = data[:at] + chunk(b"eXIf", EXIF) + chunk(b"tEXt", b"n\0t", wrong=1) + data[at:]
    np.testing.assert_array_equal(decode_image(spoilt, (10, 20)), np.rot90(PIXELS, -1))
    spoilt = data[:at] + chunk(b"eXIf", EXIF, wrong=1) + data[at:]
    np.testing.assert_array_equal(decode_image(spoilt, (20, 10)), PIXELS)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG"])
def test_exif_that_cannot_be_read_turns_nothing(kind: str) -> None:
    for exif in (b"", b"Exif\0\0broken", b"Exif\0\0" + EXIF[:-9], b"Exif\0\0MM\0*\xff\xff\xff\xff"):
        data = encoded(PICTURE, kind, exif=exif)
        assert inspect_image(data, LIMITS) == (20, 10)


def test_pixels_that_are_missing_are_missed_beside_a_broken_note() -> None:
    data = encoded(PICTURE)
    at = data.index(b"IDAT") - 4
    spoilt = data[:at] + chunk(b"tEXt", b"n\0t", wrong=1) + data[at:]
    assert reason(spoilt[: len(spoilt) * 2 // 3]) in ("truncated", "unreadable")
    assert reason(spoilt[: at + 6]) in ("truncated", "unreadable")
    assert reason(spoilt, ImageLimits(max_pixels=199)) == "too_many_pixels"


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_of_fewer_bits(bits: int, kind: str) -> None:
    levels = np.arange(200, dtype=np.uint16).reshape(20, 10) * (2**bits // 200)
    levels[-1, -1] = 2**bits - 1
    data = encoded(Image.fromarray(levels), kind)
    assert examine_image(data, LIMITS) == (20, 10, 0, 2**bits - 1)
    small = eight_bits(data, bits)
    assert len(small) == eight_bits_size(20, 10)
    expected = np.repeat((levels >> (bits - 8)).astype(np.uint8)[..., None], 3, axis=2)
    np.testing.assert_array_equal(decode_image(small, (20, 10)), expected)
    assert examine_image(small, LIMITS) == (20, 10, -1, -1)


def test_a_turned_picture_of_sixteen_bits_is_kept_upright() -> None:
    levels = np.arange(200, dtype=np.uint16).reshape(20, 10)
    turned = Image.Exif()
    turned[0x0112] = 6
    data = encoded(Image.fromarray(levels), exif=turned)
    assert examine_image(data, LIMITS)[:2] == (10, 20)
    pixels = decode_image(eight_bits(data, 8), (10, 20))[..., 0]
    np.testing.assert_array_equal(pixels, np.rot90(levels, -1))


@settings(max_examples=150, derandomize=True)
@given(
    kind=st.sampled_from(["PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP"]),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), max_size=6),
    keep=st.floats(0, 1),
)
@pytest.mark.filterwarnings("ignore")
def test_damaged_bytes_give_pixels_or_a_reason(kind, flips, keep) -> None:
    data = bytearray(encoded(PICTURE, kind))
    for place, value in flips:
        data[int(place * len(data))] ^= value
    damaged = bytes(data[: round(keep * len(data))])
    try:
        size = inspect_image(damaged, ImageLimits(max_pixels=10_000))
    except BadImage as bad:
        size, why = None, bad.reason
    assert why in REASONS if size is None else decode_image(damaged, size).shape == (*size, 3)


def test_a_whole_picture_keeps_its_size() -> None:
    np.testing.assert_array_equal(
        decode_whole(encoded(PICTURE)), decode_image(encoded(PICTURE), (20, 10))
    )
