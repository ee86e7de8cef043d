"""Which earlier reading was of the same sound, when it was shorter? Pure."""

from collections import OrderedDict
from typing import Final

KEPT: Final = 256  # turns being spoken, of all calls of a worker; a draft is some hundred bytes
BEGINNING: Final = 4000  # bytes, half a second: no two turns begin alike


class Drafts:
    """The last draft for each beginning."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()

    def find(self, mulaw: bytes) -> bytes:
        """The draft for a sound; empty where it has none, or is too short to be told from others."""
        return self._kept.get(mulaw[:BEGINNING], b"")

    def keep(self, mulaw: bytes, draft: bytes) -> None:
        """What reading this sound has left."""
        if len(mulaw) < BEGINNING:
            return
        self._kept[mulaw[:BEGINNING]] = draft
        self._kept.move_to_end(mulaw[:BEGINNING])
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
