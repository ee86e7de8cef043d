"""Events that change nothing about who speaks: the record alone takes note of them. Pure."""

from engine.call.record import CallRecord
from engine.messages import FloorEvent, KeyPressed, ResumeHandle, UsageReported


def note(record: CallRecord, event: FloorEvent, now: float) -> None:
    """Nothing for an event that is none of these."""
    match event:
        case ResumeHandle(handle):
            record.handle = handle
        case KeyPressed(digit):
            record.note(now, "key", digit)
        case UsageReported(tokens):
            record.used(now, tokens)
        case _:
            pass
