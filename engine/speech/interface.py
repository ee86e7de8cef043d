"""What the local model, the listener and the tests use to understand and to speak, whoever does it for them."""

from contextlib import AbstractContextManager
from typing import Protocol


class Speech(Protocol):
    """Shared by all calls of a worker. Sound is mu-law at 8 kHz."""

    def admit(self) -> AbstractContextManager[None]:
        """A call's place among those that can be served at once; held as long as the call may need it.

        Raises:
            ModelRefused: every place is taken.
        """

    async def recognise(self, mulaw: bytes) -> str:
        """What is said in it; empty where nothing is.

        Raises:
            ModelLost: it could not be done (a process died, or does not answer in time).
        """

    async def say(self, text: str) -> bytes:
        """Sound for it, trimmed and at the line's level; empty for blank text.

        Raises:
            ModelLost: as above.
        """
