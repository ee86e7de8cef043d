"""The mask of RFC 6455, frame by frame or for all that came in one read."""

from typing import Final

import numpy as np

_VECTOR_FROM: Final = 768  # bytes; from here on numpy unmasks faster than one long integer (measured)
_WHOLE_TEXT: Final = b"\x81\xfe"  # final, text; masked, its size in the next two bytes
_HEAD: Final = 8  # bytes of such a frame before its payload: twice the length of a key, so a key repeats through both
_SMALLEST: Final = 126  # less must not have its size in two bytes


def masked(key: bytes, payload: bytes) -> bytes:
    """XOR with the repeated key of four bytes; the same call masks and unmasks."""
    size = len(payload)
    keys = key * (size // 4 + 1)
    if size < _VECTOR_FROM:
        return (int.from_bytes(payload, "little") ^ int.from_bytes(keys[:size], "little")).to_bytes(size, "little")
    return (np.frombuffer(payload, np.uint8) ^ np.frombuffer(keys, np.uint8, size)).tobytes()


def whole_texts(data: bytes, max_message: int) -> tuple[list[bytes], int]:
    """The payloads of the masked text frames that this begins with, and how many bytes these frames take.

    Only whole messages of 126 to 65535 bytes, ``max_message`` at most, which is what a telephone sends; it ends before
    the first frame that is anything else, illegal, or incomplete. Nothing is said about what is in the payloads.
    """
    used, available = 0, len(data)
    ends: list[int] = []
    keys: list[bytes] = []
    while data[used : used + 2] == _WHOLE_TEXT and available - used >= _HEAD:
        size = data[used + 2] << 8 | data[used + 3]
        end = used + _HEAD + size
        if end > available or not _SMALLEST <= size <= max_message:
            break
        keys.append((data[used + 4 : used + _HEAD] * (size // 4 + 3))[: end - used])
        ends.append(end)
        used = end
    if not ends:
        return [], 0
    plain = (np.frombuffer(data, np.uint8, used) ^ np.frombuffer(b"".join(keys), np.uint8)).tobytes()
    begins = [0, *ends]
    return [plain[begin + _HEAD : end] for begin, end in zip(begins, ends, strict=False)], used
