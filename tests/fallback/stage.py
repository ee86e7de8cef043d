"""A line for the responder: plays what it is given in virtual time, marks what was heard, and lets a caller act."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import trio

from engine.fallback.prompts import PromptLibrary, Prompts
from engine.fallback.responder import ScriptEnd, run_responder
from engine.fallback.script import Say
from engine.fallback.steps import Line, Opening
from engine.messages import (
    CallerAudio,
    Cut,
    CutPlayout,
    EndUtterance,
    FloorEvent,
    PlayAudio,
    PlayoutCommand,
    SpeechEnded,
    SpeechStarted,
    Uplink,
    UtteranceCleared,
    UtterancePlayed,
)
from engine.tenants.tenant import Person, Tenant

DENTIST = Tenant(
    id="dentist",
    name="Dentist",
    greeting="Dentist, good morning.",
    people=(Person(name="Ann", number="+15550100200"),),
)
ALONE = DENTIST.model_copy(update={"id": "alone", "people": ()})


class SpellingVoice:
    """A line is its text, at 50 ms a letter: so what was played can be read."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def mulaw(self, text: str, *, language: str = "en-US") -> bytes:
        self.asked.append(text)
        return b"".join(letter.encode() * 400 for letter in text)


def prompts_for(tenant: Tenant) -> Prompts:
    library = PromptLibrary(SpellingVoice())
    library.prepare(tenant)
    return library.for_tenant(tenant)


@dataclass
class Stage:
    """One hold of the floor and all that was seen of it; times are seconds since the start."""

    tenant: Tenant = DENTIST
    mute_marks: bool = False
    played: list[tuple[float, str]] = field(default_factory=list)
    commands: list[PlayoutCommand] = field(default_factory=list)
    lines: list[tuple[str, str]] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)
    end: ScriptEnd | None = None
    ended_at: float = 0.0
    successor: trio.Event | None = field(default_factory=trio.Event)

    def __post_init__(self) -> None:
        self.prompts = prompts_for(self.tenant)
        self.inbox, self._inbox_receive = trio.open_memory_channel[FloorEvent](64)
        self.uplink, self._uplink_receive = trio.open_memory_channel[Uplink](64)
        self._playout, self._playout_receive = trio.open_memory_channel[PlayoutCommand](8)
        self._generation = 6
        self._cut = trio.Event()

    async def run(self, opening: Opening, caller: Callable[["Stage"], Awaitable[None]] | None = None) -> None:
        """To the responder's end, with the caller acting beside it."""
        self._began_at = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._phone)
            nursery.start_soon(self._windows)
            if caller is not None:
                nursery.start_soon(caller, self)
            self.end = await run_responder(
                tenant=self.tenant,
                prompts=self.prompts,
                opening=opening,
                inbox=self._inbox_receive,
                uplink=self._uplink_receive,
                playout=self._playout,
                next_generation=self._next_generation,
                successor=self.successor,
                on_line=lambda name, text, _: self.lines.append((name, text)),
                on_message=self.messages.append,
            )
            self.ended_at = self.now
            nursery.cancel_scope.cancel()

    @property
    def now(self) -> float:
        return trio.current_time() - self._began_at

    @property
    def said(self) -> list[str]:
        return [name for _, name in self.played]

    async def wait_said(self, name: str, times: int = 1) -> None:
        while self.said.count(name) < times:
            await trio.sleep(0.05)

    async def wait_played(self, name: str) -> None:
        """The line has begun and its length is over."""
        await self.wait_said(name)
        await trio.sleep(self.prompts.seconds(Say(Line(name))) + 0.01)

    def _next_generation(self) -> int:
        self._generation += 1
        return self._generation

    def _name(self, mulaw: bytes) -> str:
        for line in Line:
            variants = range(len(self.prompts.company)) if line is Line.COMPANY else (0,)
            if any(self.prompts.sound(Say(line, variant)) == mulaw for variant in variants):
                return line.value
        raise AssertionError("something was played that is no line")

    async def _phone(self) -> None:
        sounding: dict[int, float] = {}
        async with trio.open_nursery() as nursery:
            async for command in self._playout_receive:
                self.commands.append(command)
                match command:
                    case PlayAudio(generation, mulaw):
                        self.played.append((self.now, self._name(mulaw)))
                        sounding[generation] = len(mulaw) / 8000
                    case EndUtterance(generation):
                        self._cut = trio.Event()
                        nursery.start_soon(self._sound, generation, sounding[generation], self._cut)
                    case CutPlayout(_, how):
                        assert how is Cut.NOW
                        self._cut.set()

    async def _sound(self, generation: int, seconds: float, cut: trio.Event) -> None:
        with trio.move_on_after(seconds) as scope:
            await cut.wait()
        if not scope.cancelled_caught:
            self.inbox.send_nowait(UtteranceCleared(generation, 1.0, seconds * 1000))
        elif not self.mute_marks:
            self.inbox.send_nowait(UtterancePlayed(generation, seconds * 1000))

    async def _windows(self) -> None:
        """A window every 100 ms, each with its number in it."""
        number = 0
        while True:
            await trio.sleep(0.1)
            number += 1
            try:
                self.uplink.send_nowait(CallerAudio(number.to_bytes(2, "big") * 400))
            except trio.BrokenResourceError:
                return


async def speak(stage: Stage, seconds: float) -> None:
    """The caller speaks; returns when the endpointer has decided that it is over, 500 ms later."""
    began = trio.current_time()
    await stage.inbox.send(SpeechStarted(began))
    await trio.sleep(seconds)
    ended = trio.current_time()
    await trio.sleep(0.5)
    await stage.inbox.send(SpeechEnded(ended, trio.current_time(), seconds * 1000))


def window_numbers(message: bytes | None) -> list[int]:
    assert message is not None
    return [int.from_bytes(message[at : at + 2], "big") for at in range(0, len(message), 800)]
