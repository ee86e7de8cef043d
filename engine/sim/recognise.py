"""PURE: where in a recording a known prompt sounds.

Prompts travel untouched as mu-law, so what was played of one is found again byte for byte. It need not be whole: its
end may have been cut off by a ``clear``, its beginning by a late start, and an underrun may have torn it.
"""

from engine.sim.hearing import BYTES_PER_MS, loud_span

SHORTEST_MS = 100.0  # less than this of a clip is no evidence


def find_clip(recording_mulaw: bytes, clip_mulaw: bytes, *, after_ms: float = 0.0) -> float | None:
    """When the clip begins to sound, in ms of the recording; None where it does not.

    The largest piece of the clip that can be found decides; the answer is where the matching stretch begins, which is
    later than the clip's own start where its beginning is missing. Silence in the clip proves nothing and is skipped.

    Args:
        recording_mulaw: 8 bytes per ms.
        clip_mulaw: the known audio.
        after_ms: look only from here on.
    """
    span = loud_span(clip_mulaw)
    if span is None:
        return None
    clip = clip_mulaw[span[0] : span[1]]
    start = max(0, round(after_ms * BYTES_PER_MS))
    size = len(clip)
    shortest = min(size, round(SHORTEST_MS * BYTES_PER_MS))
    while size >= shortest:
        for offset in range(0, len(clip) - size + 1, max(1, size // 2)):
            piece = clip[offset : offset + size]
            if loud_span(piece) is None:
                continue
            at = recording_mulaw.find(piece, start)
            if at >= 0:
                return _begin(recording_mulaw, clip, at, offset, start) / BYTES_PER_MS
        size = size // 2 if size // 2 >= shortest or size == shortest else shortest
    return None


def _begin(recording: bytes, clip: bytes, at: int, offset: int, start: int) -> int:
    while offset > 0 and at > start and recording[at - 1] == clip[offset - 1]:
        at, offset = at - 1, offset - 1
    return at
