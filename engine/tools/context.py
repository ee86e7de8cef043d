"""What a tool's handler is given, and what a tool is."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

from engine.messages import Effect
from engine.store.diary import Diary
from engine.store.follow_ups import FollowUps
from engine.tenants.tenant import Tenant, ToolSpec
from engine.tools.control import CallControl, RecordingControl

__all__ = ["Diary", "FollowUps", "Handler", "Tool", "ToolContext"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolContext:
    """One call, as its tools see it; made by the call's supervisor.

    Attributes:
        caller: the caller's number, E.164; empty where it was withheld.
        now: the wall clock, aware of its zone: only for saying and writing dates.
        effect_id: set by the executor for each run: the same for the same effect, however often it is tried. Handlers
            write under it, so that even a retry by another process cannot do a thing twice.
        recording: None where the call is not recorded.
    """

    tenant: Tenant
    call_sid: str
    caller: str
    control: CallControl
    follow_ups: FollowUps
    diary: Diary
    now: Callable[[], datetime]
    effect_id: str = ""
    recording: RecordingControl | None = None

    def local_now(self) -> datetime:
        """The business's own time, naive."""
        return self.now().astimezone(ZoneInfo(self.tenant.timezone)).replace(tzinfo=None)


Handler: TypeAlias = Callable[[ToolContext, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
"""Runs a tool on arguments that its schema allows; returns what ``answers.py`` makes.

It may be cancelled at its deadline, a ``reads`` tool at any time. ``RemoteError``, ``OSError`` and
``trio.TooSlowError`` mean that a peer failed; anything else raised is a bug. In both cases the caller is told that
somebody will call back.
"""


@dataclass(frozen=True, slots=True)
class Tool:
    """A thing that can be done: what the model is told about it, and what does it.

    Attributes:
        again: a write that may be meant anew in a later turn with the same arguments, and does no harm if it was not
            (end the call, after the caller went on talking the first time).
        each: what it does holds only until the opposite is asked for, so every asking by an id of its own is one of its
            own, also within a turn; the same id again is told the same.
        idempotent: a write that is done once for one ``effect_id``, however often it is asked for, also where an
            earlier attempt never came back: then it is run again, with the same ``effect_id``.
    """

    spec: ToolSpec
    handler: Handler
    again: bool = False
    each: bool = False
    idempotent: bool = False

    @property
    def once_per_call(self) -> bool:
        """Whether the same arguments mean the same effect in every turn of a call."""
        return self.spec.effect is Effect.WRITES and not self.again
