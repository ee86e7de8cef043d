"""The carrier's debugger: what it would have listed about this call, by its own codes."""

from dataclasses import dataclass

from engine.sim.carrier_wire import BAD_AUDIO, BINARY_FRAME, INVALID_MESSAGE

KEPT_PER_CODE = 20  # one broken sender must not fill the memory; the count goes on

PROTOCOL_CODES = frozenset({
    BAD_AUDIO,
    BINARY_FRAME,
    INVALID_MESSAGE,
    31931,  # more than ten minutes of audio queued
    31922,  # not a wss URL
    31923,  # not a URL
    31924,  # the websocket protocol itself was broken
    31941,  # a track that <Connect> cannot have
    11100,  # a URL that is none
    11750,  # TwiML too large
    12100,  # not XML
    12200,  # unknown verb or attribute
    12300,  # a content type that is none of TwiML's
})  # fmt: skip
"""Codes that mean that the server spoke wrongly. All others only tell what happened (31921: it closed its stream)."""


@dataclass(frozen=True, slots=True)
class DebuggerEntry:
    """One line of the debugger. ``at_ms`` counts from the first request of the call."""

    code: int
    detail: str
    at_ms: float


class Debugger:
    """Collects entries of one call."""

    def __init__(self, began_at: float) -> None:
        self._began_at = began_at
        self._counts: dict[int, int] = {}
        self.entries: list[DebuggerEntry] = []

    def note(self, code: int, detail: str, now: float) -> None:
        """Add an entry; beyond ``KEPT_PER_CODE`` of a code only count it."""
        self._counts[code] = self._counts.get(code, 0) + 1
        if self._counts[code] <= KEPT_PER_CODE:
            self.entries.append(DebuggerEntry(code, detail, (now - self._began_at) * 1000))

    def note_once(self, code: int, detail: str, now: float) -> None:
        """Add an entry unless this code has one (the carrier warns of some things once per stream)."""
        if code not in self._counts:
            self.note(code, detail, now)

    def count(self, code: int) -> int:
        """How often this code was noted."""
        return self._counts.get(code, 0)

    def protocol_faults(self) -> int:
        """How often the server spoke wrongly."""
        return sum(count for code, count in self._counts.items() if code in PROTOCOL_CODES)
