"""A small picture and a short sound, as clients put them into a chat."""

from __future__ import annotations

import base64
import io
import struct
import wave
import zlib

_SIDE = 64
"""Pixels. A model that sees cuts pictures into squares, and refuses one that is smaller than these."""
_RED = bytes([255, 0, 0])
_RATE = 8000
_SECONDS = 0.2


def picture_part() -> dict[str, object]:
    """A red square as a part of a chat's message."""
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{_base64(_png())}"}}


def sound_part() -> dict[str, object]:
    """A short silence as a part of a chat's message."""
    return {"type": "input_audio", "input_audio": {"data": _base64(_wav()), "format": "wav"}}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _png() -> bytes:
    rows = (b"\0" + _RED * _SIDE) * _SIDE  # the first byte of a row says that it is not filtered
    header = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 2, 0, 0, 0)  # eight bits for each of three colours
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(map(_chunk, *zip(*parts, strict=True)))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _wav() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(_RATE)
        sound.writeframes(bytes(2 * int(_RATE * _SECONDS)))
    return file.getvalue()
