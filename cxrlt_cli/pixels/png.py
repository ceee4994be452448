"""PNG to gray with a faster inflate: ISA-L unpacks what OpenCV then only has to unfilter."""

import struct
import zlib
from collections.abc import Iterator

import cv2
import numpy as np
from isal import igzip_lib, isal_zlib

from cxrlt_cli.pixels.unreadable import UnreadableImageError

PNG_START = b"\x89PNG\r\n\x1a\n"
_END = b"\0\0\0\0IEND\xaeB`\x82"
_STORED = 65535  # bytes that a block of a deflate stream holds uncompressed
_MOST_BYTES = 150_000_000
_DECIDED_ELSEWHERE = (b"tRNS", b"eXIf")  # transparency and orientation
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")


def decode_png(content: bytes) -> np.ndarray | None:
    """Decodes an 8-bit gray PNG.

    The stream is inflated by ISA-L, twice as fast as zlib and its successors, and put back uncompressed, so that libpng, in
    OpenCV, has the filters left to undo.

    Args:
        content: the file.

    Returns:
        (H, W) uint8, or None where the general reader has to decide: another mode, interlaced, transparent, to be turned, cut.

    Raises:
        UnreadableImageError: of any PNG, where a checksum is wrong or pixels are missing. Pillow looks at neither and gives
            black in their place.
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
    """The header, the packed pixels, and whether they are all that decides the gray values. Checksums are verified."""
    header, packed, ended, plain = b"", [], False, True
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
        ended, place = kind == b"IEND", end + 4
    return header, b"".join(packed), plain and header[8:] == b"\x08\0\0\0\0"  # 8 bit, gray, not interlaced


def _bytes_of_pixels(header: bytes) -> int:
    """How many they are once unpacked; of an interlaced picture the least that they can be."""
    width, height, bits, colours = struct.unpack(">IIBB", header[:10])
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colours, 1)
    return int(((width * channels * bits + 7) // 8 + 1) * height)  # each line begins with the number of its filter


def _may_turn(text: bytes) -> bool:
    """Whether a text chunk may hold an orientation: its keyword, of at most 79 letters, names EXIF or XMP."""
    keyword = text[:80].partition(b"\0")[0].lower()
    return keyword in (b"raw profile type exif", b"raw profile type app1", b"xml:com.adobe.xmp")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return b"".join((struct.pack(">I", len(body)), kind, body, struct.pack(">I", isal_zlib.crc32(body, zlib.crc32(kind)))))


def _stored(lines: bytes) -> Iterator[bytes | memoryview]:
    """A zlib stream (RFC 1950, 1951) whose blocks are stored as they are."""
    yield b"\x78\x01"
    for place in range(0, len(lines), _STORED):
        block = memoryview(lines)[place : place + _STORED]
        last = place + _STORED >= len(lines)
        yield struct.pack("<BHH", last, len(block), 0xFFFF ^ len(block))
        yield block
    yield struct.pack(">I", isal_zlib.adler32(lines))
