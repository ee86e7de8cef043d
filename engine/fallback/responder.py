"""The actor that speaks when no model can: it walks the script and is its mouth and ears.

While it holds the floor, it is the only one that feeds the playout. It listens to three things at once (the inbox,
the uplink, the successor's event) but acts in one place, the loop of ``_play``. Its first line goes out before it
waits for anything but room in the playout channel.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import trio

from engine.errors import LineLost
from engine.fallback.prompts import Prompts, line_text
from engine.fallback.script import (
    USUAL_PATIENCE,
    Action,
    CallerPaused,
    CallerSpoke,
    Event,
    Key,
    Patience,
    Played,
    Say,
    Script,
    StartRecording,
    StopRecording,
    StopSaying,
    SuccessorReady,
    TimePassed,
)
from engine.fallback.steps import ENDS, Opening, State
from engine.messages import (
    CallerAudio,
    Cut,
    CutPlayout,
    EndUtterance,
    FloorEvent,
    KeyPressed,
    PlayAudio,
    PlayoutCommand,
    SpeechEnded,
    SpeechStarted,
    Uplink,
    UtteranceCleared,
    UtterancePlayed,
)
from engine.shortcut import SendEnd
from engine.tenants.tenant import Person, Tenant


@dataclass(frozen=True, slots=True)
class HandedBack:
    """A successor is ready and nothing is playing. ``message`` is what the caller left, in mu-law at 8 kHz."""

    message: bytes | None


@dataclass(frozen=True, slots=True)
class SaidGoodbye:
    """The script came to its end: the call can be ended."""

    message: bytes | None


@dataclass(frozen=True, slots=True)
class WantsPerson:
    """The caller was told that they are being put through to ``person``."""

    person: Person
    message: bytes | None


ScriptEnd: TypeAlias = HandedBack | SaidGoodbye | WantsPerson


class _Message:
    """What the caller is leaving, in windows as they come."""

    def __init__(self, on_message: Callable[[bytes], None]) -> None:
        self._on_message = on_message
        self._windows: list[bytes] = []
        self._recording = False
        self.kept: bytes | None = None

    def start(self) -> None:
        self._windows.clear()
        self._recording = True

    def stop(self, *, keep: bool) -> None:
        self._recording = False
        if keep and self._windows:
            self.kept = b"".join(self._windows)
            self._on_message(self.kept)

    async def listen(self, uplink: trio.MemoryReceiveChannel[Uplink]) -> None:
        """Take every window, so that the line never waits for us; keep those of the message."""
        async for item in uplink:
            if self._recording and isinstance(item, CallerAudio):
                self._windows.append(item.mulaw)


class _Responder:
    """What one hold of the floor has in hand."""

    def __init__(
        self,
        script: Script,
        message: _Message,
        playout: SendEnd[PlayoutCommand],
        next_generation: Callable[[], int],
        tenant: Tenant,
        prompts: Prompts,
        on_line: Callable[[str, str, int], None],
    ) -> None:
        self._script = script
        self._message = message
        self._playout = playout
        self._next_generation = next_generation
        self._tenant = tenant
        self._prompts = prompts
        self._on_line = on_line
        self._generation: int | None = None
        self._ready_untold = False
        self._nap = trio.CancelScope()

    async def play(self, inbox: trio.MemoryReceiveChannel[FloorEvent]) -> None:
        """From the opening to an end of the script."""
        actions = self._script.begin(trio.current_time())
        while True:
            for action in actions:
                await self._carry_out(action)
            if self._script.state in ENDS:
                return
            event = await self._next_event(inbox)
            actions = self._script.advance(event, trio.current_time()) if event else []

    async def watch(self, successor: trio.Event) -> None:
        """Wake ``play`` when a successor is ready."""
        await successor.wait()
        self._ready_untold = True
        self._nap.cancel()

    def hang_up(self) -> None:
        """The call ends under us. Most callers end their message just so: it counts."""
        if self._script.state is State.RECORDING:
            self._message.stop(keep=self._script.heard)

    async def _next_event(self, inbox: trio.MemoryReceiveChannel[FloorEvent]) -> Event | None:
        if self._ready_untold:
            self._ready_untold = False
            return SuccessorReady()
        deadline = self._script.next_deadline()
        assert deadline is not None, "a script that is not at its end has a deadline"
        with trio.CancelScope(deadline=deadline) as self._nap:
            return self._translate(await inbox.receive())
        return TimePassed()

    def _translate(self, heard: FloorEvent) -> Event | None:
        """What the line's event means to the script; None: it was meant for somebody else (a late model event)."""
        match heard:
            case SpeechStarted():
                return CallerSpoke()
            case SpeechEnded():
                return CallerPaused()
            case KeyPressed(digit):
                return Key(digit)
            case UtterancePlayed(generation) | UtteranceCleared(generation) if generation == self._generation:
                return Played()
            case _:
                return None

    async def _carry_out(self, action: Action) -> None:
        match action:
            case Say():
                await self._say(action)
            case StopSaying():
                assert self._generation is not None, "only what was begun can be stopped"
                await self._playout.send(CutPlayout(self._generation, Cut.NOW))
                self._generation = None
            case StartRecording():
                self._message.start()
            case StopRecording(keep):
                self._message.stop(keep=keep)

    async def _say(self, say: Say) -> None:
        self._generation = self._next_generation()
        await self._playout.send(PlayAudio(self._generation, self._prompts.sound(say)))
        await self._playout.send(EndUtterance(self._generation))
        if text := line_text(self._tenant, say):
            self._on_line(say.line.value, text, self._generation)

    def end(self) -> ScriptEnd:
        """How it came out."""
        message = self._message.kept
        match self._script.state:
            case State.HANDED_BACK:
                return HandedBack(message)
            case State.WANTS_PERSON:
                return WantsPerson(self._tenant.people[0], message)
            case _:
                return SaidGoodbye(message)


def _ignore(*_: object) -> None:
    """The default for what nobody wants to be told."""


async def run_responder(
    *,
    tenant: Tenant,
    prompts: Prompts,
    opening: Opening,
    inbox: trio.MemoryReceiveChannel[FloorEvent],
    uplink: trio.MemoryReceiveChannel[Uplink],
    playout: SendEnd[PlayoutCommand],
    next_generation: Callable[[], int],
    successor: trio.Event | None,
    on_line: Callable[[str, str, int], None] = _ignore,
    on_message: Callable[[bytes], None] = _ignore,
    patience: Patience = USUAL_PATIENCE,
) -> ScriptEnd:
    """Hold the floor from the opening to the script's end, or until a successor is ready and the line is free.

    Its three channel ends are closed at the end: hand in clones where somebody else shall use the same channel later.

    Args:
        tenant: whose words.
        prompts: the same as sound, from ``PromptLibrary.for_tenant``.
        opening: why the script has the floor.
        inbox: what happens on the line; what is meant for others is thrown away.
        uplink: the caller's windows; kept only while a message is being left.
        playout: the way to the caller. Whoever spoke before must have been cut: a line waits for older generations.
        next_generation: numbers an utterance.
        successor: set when the floor can be handed on; None: nobody is being sought.
        on_line: told the name, text and generation of each line as it goes out.
        on_message: told a message once it is complete, also where the caller ends it by hanging up (the responder is
            cancelled): then there is no other way to get it.
        patience: how long to hope for a successor before offering something else.

    Raises:
        LineLost: inbox or playout have been closed at the other end.
    """
    script = Script(
        opening,
        seconds=prompts.seconds,
        company=len(prompts.company),
        person=bool(tenant.people),
        successor=successor is not None,
        patience=patience,
    )
    message = _Message(on_message)
    responder = _Responder(script, message, playout, next_generation, tenant, prompts, on_line)
    line_is_gone = False
    with inbox, uplink, playout:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(message.listen, uplink)
                if successor is not None:
                    nursery.start_soon(responder.watch, successor)
                try:
                    await responder.play(inbox)
                except (trio.EndOfChannel, trio.BrokenResourceError):
                    line_is_gone = True  # raised below: from in here it would come wrapped into a group
                nursery.cancel_scope.cancel()
        finally:
            responder.hang_up()
    if line_is_gone:
        raise LineLost("broken", "nobody is at the line's end of the script's channels")
    return responder.end()
