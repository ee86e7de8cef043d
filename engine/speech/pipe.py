"""What goes between a worker and its speech processes: frames of a kind, a length and that many bytes.

A process says ``READY`` once, then answers each request (``RECOGNISE``, ``SAY``) with ``DONE`` or, where what it was
given cannot be used, ``FAILED`` and why. One request at a time. What is to be recognised goes as a pair of draft and
sound, and comes back as a pair of draft and text.
"""

import struct
from typing import Final

RECOGNISE: Final = b"r"
SAY: Final = b"s"
READY: Final = b"R"
DONE: Final = b"D"
FAILED: Final = b"F"

HEAD: Final = struct.Struct(">cI")
LARGEST: Final = 16 * 1024 * 1024  # half an hour of sound: what claims to be more is not a frame of ours
_FIRST = struct.Struct(">I")


def frame(kind: bytes, payload: bytes = b"") -> bytes:
    """One frame, whole."""
    return HEAD.pack(kind, len(payload)) + payload


def pair(first: bytes, second: bytes) -> bytes:
    """Two contents as one."""
    return _FIRST.pack(len(first)) + first + second


def apart(both: bytes) -> tuple[bytes, bytes]:
    """The two again."""
    (size,) = _FIRST.unpack_from(both)
    return both[_FIRST.size : _FIRST.size + size], both[_FIRST.size + size :]
