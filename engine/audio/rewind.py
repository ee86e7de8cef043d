"""Where to take up speech that was interrupted, so that no word is cut in two."""

from typing import Final

import numpy as np

from engine.audio.g711 import BYTES_PER_MS, decode

LONGEST_MS: Final = 250
"""More than this is not said twice, word or no word."""

_BLOCK: Final = 10 * BYTES_PER_MS
_GAP_DB: Final = 15.0  # so much fainter than the loudest around it: between two words
_DIP_DB: Final = 6.0  # between two syllables


def back_to_a_gap(heard: bytes) -> int:
    """How many bytes of what was heard last to say again: back to the last gap, else to the faintest dip, else none.

    Args:
        heard: mu-law, the newest at its end; what is more than ``LONGEST_MS`` is not looked at.
    """
    blocks = min(len(heard), LONGEST_MS * BYTES_PER_MS) // _BLOCK
    if not blocks:
        return 0
    samples = decode(heard[len(heard) - blocks * _BLOCK :]).astype(np.float32).reshape(blocks, _BLOCK)
    levels = 10.0 * np.log10(np.maximum(np.einsum("ij,ij->i", samples, samples), 1.0))
    below = float(levels.max()) - levels
    gaps = np.flatnonzero(below >= _GAP_DB)
    if len(gaps):
        return int(blocks - gaps[-1]) * _BLOCK
    dip = int(below.argmax())
    return (blocks - dip) * _BLOCK if below[dip] >= _DIP_DB else 0
