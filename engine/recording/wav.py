"""A recording as people listen to it: WAV, 16 bits, caller left, agent right. PURE, piece by piece."""

import struct
from collections.abc import Iterator
from typing import BinaryIO, Final

import numpy as np

from engine.audio.g711 import SAMPLE_RATE_HZ, decode
from engine.recording.sealed import LENGTH, MAGIC, SALT, TAG

HEAD_BYTES: Final = 44
_BYTES_PER_SAMPLE: Final = 4


def head(samples: int) -> bytes:
    """Of a file with so many samples in each channel."""
    size = samples * _BYTES_PER_SAMPLE
    rate = SAMPLE_RATE_HZ * _BYTES_PER_SAMPLE
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 2, SAMPLE_RATE_HZ, rate, _BYTES_PER_SAMPLE, 16)
    return struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE") + form + struct.pack("<4sI", b"data", size)


def interleaved(chunk: bytes) -> bytes:
    """A chunk of a recording as samples."""
    half = len(chunk) // 2
    both = np.empty((half, 2), np.dtype("<i2"))
    both[:, 0], both[:, 1] = decode(chunk[:half]), decode(chunk[half:])
    return both.tobytes()


def samples_in(file: BinaryIO) -> int:
    """In each channel, by the lengths of the chunks alone; the file is read from its beginning."""
    return sum(_chunk_sizes(file)) // 2


def _chunk_sizes(file: BinaryIO) -> Iterator[int]:
    file.seek(0, 2)
    end, at = file.tell(), len(MAGIC) + SALT
    while at + LENGTH <= end:
        file.seek(at)
        size = int.from_bytes(file.read(LENGTH))
        at += LENGTH + size
        if size < TAG or at > end:
            return
        yield size - TAG
