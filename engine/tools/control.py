"""What a tool may ask of the call it runs in. Filled by the call itself; tools know no line and no carrier."""

from typing import Protocol

from engine.tenants.tenant import Person


class CallControl(Protocol):
    """Wishes, granted once the agent's last words have been heard. Plain calls; a repeated wish changes nothing."""

    def request_transfer(self, person: Person) -> None:
        """Put the caller through to this person."""

    def request_end(self, reason: str) -> None:
        """End the call."""


class RecordingControl(Protocol):
    """The recording of a call. Plain calls; repeating one changes nothing."""

    def pause(self) -> None:
        """Record silence from now on."""

    def resume(self) -> None:
        """Record what is said again."""
