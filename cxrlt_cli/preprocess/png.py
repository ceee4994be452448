"""Decodes PNG to gray: 8 bit with a faster inflate (ISA-L, then OpenCV undoes the filters), 16 bit by the sBIT chunk."""

import struct
import zlib
from collections.abc import Iterator

import cv2
import numpy as np
from isal import igzip_lib, isal_zlib

from cxrlt_cli.preprocess.remarks import UnreadableImageError

PNG_START = b"\x89PNG\r\n\x1a\n"
_END = b"\0\0\0\0IEND\xaeB`\x82"
#: 16-bit values up to here have at most 14 bit, and would fill only the lowest quarter of the gray levels.
NARROW = 2**14 - 1
_LUMA = np.array([0.114, 0.587, 0.299])  # ITU-R 601, of blue, green and red
_STORED = 65535  # bytes of a stored block of a deflate stream
_MOST_BYTES = 150_000_000
_DECIDED_ELSEWHERE = (b"tRNS", b"eXIf")  # transparency and orientation
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")


def decode_png(content: bytes) -> np.ndarray | None:
    """Decodes an 8-bit gray PNG.

    ISA-L inflates the stream, twice as fast as zlib and its successors. The stream is stored again uncompressed, so that libpng
    in OpenCV only undoes the filters.

    Args:
        content: the file.

    Returns:
        (H, W) uint8; None for files that the general reader must read: another mode, interlaced, transparent, with an
        orientation, cut short.

    Raises:
        UnreadableImageError: of any PNG with a wrong checksum, or without pixels or palette. Pillow checks none of these and
            returns black instead.
    """
    try:
        header, packed, plain = _parts(content)
        length = _bytes_of_pixels(header)
        if not 0 < length <= _MOST_BYTES:
            return None
        lines = isal_zlib.decompressobj().decompress(packed, length + 1)
    except (struct.error, igzip_lib.IsalError):
        return None
    if len(lines) < length:
        raise UnreadableImageError(f"damaged: {len(lines)} bytes of pixels instead of {length}")
    if not plain or len(lines) > length:
        return None
    unpacked = b"".join((PNG_START, _chunk(b"IHDR", header), _chunk(b"IDAT", b"".join(_stored(lines))), _END))
    return cv2.imdecode(np.frombuffer(unpacked, np.uint8), cv2.IMREAD_GRAYSCALE)


def _parts(content: bytes) -> tuple[bytes, bytes, bool]:
    """The header, the packed pixels, and whether nothing else affects the gray values. Checksums are verified."""
    header, packed, ended, plain, palette = b"", [], False, True, False
    place = len(PNG_START)
    while not ended:
        length, kind = struct.unpack_from(">I4s", content, place)
        end = place + 8 + length
        (checksum,) = struct.unpack_from(">I", content, end)
        if isal_zlib.crc32(content[place + 4 : end]) != checksum:
            raise UnreadableImageError(f"damaged: the checksum of {kind.decode('latin-1')} is wrong")
        if kind == b"IHDR":
            header = content[place + 8 : end]
        elif kind == b"IDAT":
            packed.append(content[place + 8 : end])
        plain &= kind not in _DECIDED_ELSEWHERE and not (kind in _TEXTS and _may_turn(content[place + 8 : end]))
        palette |= kind == b"PLTE"
        ended, place = kind == b"IEND", end + 4
    if header[9:10] == b"\x03" and not palette:
        raise UnreadableImageError("damaged: colours by palette, and no palette")
    return header, b"".join(packed), plain and header[8:] == b"\x08\0\0\0\0"  # 8 bit, gray, not interlaced


def _bytes_of_pixels(header: bytes) -> int:
    """Number of bytes of the unpacked pixels; of an interlaced image the minimum."""
    width, height, bits, colours = struct.unpack(">IIBB", header[:10])
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colours, 1)
    return int(((width * channels * bits + 7) // 8 + 1) * height)  # each line starts with the number of its filter


def _may_turn(text: bytes) -> bool:
    """Whether a text chunk may hold an orientation: its keyword (up to 79 letters) names EXIF or XMP."""
    keyword = text[:80].partition(b"\0")[0].lower()
    return keyword in (b"raw profile type exif", b"raw profile type app1", b"xml:com.adobe.xmp")


def significant_bits(content: bytes) -> tuple[int, ...]:
    """The significant bits of each channel of a 16-bit PNG (sBIT; PNG 11.3.2.7): gray or RGB, then alpha.

    Returns:
        16 per channel without an sBIT chunk; empty if the file is not a PNG of 16 bit.
    """
    if content[24:25] != b"\x10" or not content.startswith(PNG_START):
        return ()
    channels = {0: 1, 2: 3, 4: 2, 6: 4}.get(content[25], 0)
    place, kind = len(PNG_START), b""
    while kind not in (b"IDAT", b"IEND"):
        length, kind = struct.unpack_from(">I4s", content, place)
        if kind == b"sBIT" and length == channels:
            said = content[place + 8 : place + 8 + length]
            return tuple(bits if 0 < bits < 16 else 16 for bits in said)
        place += 12 + length
    return (16,) * channels


def scale_by_bits(values: np.ndarray, bits: int) -> np.ndarray:
    """Scales 16-bit values (H, W) to 0 … 65535 if only their lowest `bits` are used; else they are not changed.

    The standard puts values of fewer bits into the highest bits. If no value exceeds the lowest bits, the writer did not.
    """
    most = 2**bits - 1
    if bits == 16 or values.max() > most:
        return values
    return np.asarray(np.rint(np.arange(most + 1) * (65535 / most)).astype(np.uint16)[values])


def decode_narrow_colours(content: bytes, bits: tuple[int, ...]) -> np.ndarray | None:
    """Decodes a 16-bit PNG of several channels whose values use only low bits; Pillow would keep the high byte only.

    Args:
        content: the file.
        bits: its significant bits, of each channel.

    Returns:
        (H, W) uint16 gray over black, scaled by sBIT; None if high bits are used, or for one channel.
    """
    if len(bits) == 1:
        return None
    found = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None or found.ndim != 3 or found.dtype != np.uint16:
        return None
    used = max(bits[:3] if len(bits) > 2 else bits[:1])
    colours = found[:, :, :3]
    if colours.max() > max(NARROW, 2**used - 1 if used < 16 else 0):
        return None
    gray = colours[:, :, 0] if np.ptp(colours, axis=2).max() == 0 else np.rint(colours @ _LUMA).astype(np.uint16)
    gray = scale_by_bits(gray, used)
    if found.shape[2] == 4:
        gray = np.rint(gray * (scale_by_bits(found[:, :, 3], bits[-1]) / 65535)).astype(np.uint16)
    return np.asarray(gray)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return b"".join((struct.pack(">I", len(body)), kind, body, struct.pack(">I", isal_zlib.crc32(body, zlib.crc32(kind)))))


def _stored(lines: bytes) -> Iterator[bytes | memoryview]:
    """A zlib stream (RFC 1950, 1951) of stored blocks."""
    yield b"\x78\x01"
    for place in range(0, len(lines), _STORED):
        block = memoryview(lines)[place : place + _STORED]
        last = place + _STORED >= len(lines)
        yield struct.pack("<BHH", last, len(block), 0xFFFF ^ len(block))
        yield block
    yield struct.pack(">I", isal_zlib.adler32(lines))
