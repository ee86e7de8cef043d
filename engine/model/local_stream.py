"""One open local session: an ear, a dialogue that decides what to say, and a mouth; a model made on this machine.

    windows ─► Ear ─► text so far ─► CallerTranscript ─► (the turn-keeper asks the retriever)
    commit ──► Ear: the final text ─► Dialogue.hear(text, passages) ─► acts ─► Mouth: sound and text, tool calls
    result ──► Dialogue.tool_result ──────────────────────────────────► acts ─┘

Two tasks live as long as the stream: the ear's, which recognises, and the mind's, which does one thing after the
other. What is dropped by an interruption is not cancelled: a rendering that is under way ends, and its sound is thrown
away. Sound goes up sentence by sentence as it is rendered, faster than it is heard; the playout holds it.

The same turn may be asked twice (``model/replay.py``). The dialogue hears it once, since hearing changes what it
believes; what it had decided is said again.
"""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Protocol, TypeAlias, TypeVar

import trio

from engine.audio.g711 import BYTES_PER_MS
from engine.dialogue.acts import Act, CallTool, Say
from engine.dialogue.phrases import PHRASES
from engine.errors import MisuseError, ModelGarbled, ModelLost, first_of_kind
from engine.log import get_logger
from engine.messages import (
    CallerAudio,
    CommitTurn,
    Notes,
    Passage,
    ReportHeard,
    RetrievalOutcome,
    Skipped,
    Speak,
    TimedOut,
    ToolCallRequested,
    ToolResult,
)
from engine.model.local_ear import Ear
from engine.model.local_mouth import Mouth
from engine.model.provider import SessionSetup, StreamEvent
from engine.model.setup import passages_text_of
from engine.speech.interface import Speech

Acts: TypeAlias = tuple[Act, ...]
T = TypeVar("T")

ASK_AGAIN = "Sorry, I was a moment too slow there. Could you ask me that once more?"
_REFUSALS = frozenset((*PHRASES["unknown"], *PHRASES["unknown_alone"]))

log = get_logger("model.local")


class Mind(Protocol):
    """What of ``dialogue.Dialogue`` a session uses."""

    def hear(self, text: str, passages: Sequence[Passage]) -> Acts:
        """The caller has said this."""

    def tool_result(self, call_id: str, response: Mapping[str, Any]) -> Acts:
        """What came of a tool call."""

    def told_to_say(self, text: str) -> Acts:
        """Words decided elsewhere."""

    def cut(self, heard: str) -> None:
        """Of the last answer only this was heard."""


class LocalStream:
    """One open session; made by ``open_local_stream``, used by one session actor."""

    def __init__(self, speech: Speech, mind: Mind, setup: SessionSetup) -> None:
        self._mind = mind
        self._tenant_id = setup.tenant.id
        self._mouth = Mouth(speech)
        self._ear = Ear(
            speech,
            partial(self._mouth.understood, final=False),
            window_bytes=setup.tenant.timing.window_ms * BYTES_PER_MS,
        )
        self._turn_open = False
        self._jobs: deque[Callable[[], Awaitable[None]]] = deque()
        self._work = trio.lowlevel.ParkingLot()
        self._calls: set[str] = set()  # that the running answer waits for
        self._late: Acts = ()  # what came of those that an interrupted answer waited for
        self._decided: Acts = ()  # what is being said, or was last
        self._heard_turn: int | None = None  # whose words the mind has heard
        self._has_decided = False  # what to say in the running answer
        self._unheard = False  # what it decided was dropped before a sound of it

    async def open_turn(self) -> None:
        """The caller began; what is being said ends."""
        self._begin("a turn")
        self._turn_open = True
        self._ear.opened()
        await trio.lowlevel.checkpoint()

    async def send_audio(self, window: CallerAudio) -> None:
        """A window of the open turn; one that comes while none is open is not heard."""
        self._check()
        if self._turn_open:
            self._ear.window(window.mulaw)
        await trio.lowlevel.checkpoint()

    def send_audio_now(self, window: CallerAudio) -> bool:  # noqa: ARG002
        """See ``ModelStream``: never."""
        return False

    async def commit_turn(self, commit: CommitTurn) -> None:
        """Answer the open turn.

        Raises:
            MisuseError: no turn is open, or the outcome holds another tenant's passages.
        """
        self._check()
        if not self._turn_open:
            raise MisuseError(f"turn {commit.turn_id} is committed but none is open")
        passages = commit.outcome.passages if isinstance(commit.outcome, Notes) else ()
        if any(passage.tenant_id != self._tenant_id for passage in passages):
            raise MisuseError("a passage of another tenant reached a model session")
        self._turn_open = False
        self._do(partial(self._answer, self._mouth.begin(), commit, passages))
        await trio.lowlevel.checkpoint()

    def commit_turn_now(self, commit: CommitTurn) -> bool:  # noqa: ARG002
        """See ``ModelStream``: never."""
        return False

    async def speak(self, speak: Speak) -> None:
        """Say what it tells to say, then answer what it tells to answer; with neither, say again what was decided."""
        self._begin("an instruction to speak")
        self._do(partial(self._speak, self._mouth.begin(), speak))
        await trio.lowlevel.checkpoint()

    async def send_tool_result(self, result: ToolResult) -> None:
        """Go on with what came of a call; where the caller is speaking, say it before answering them."""
        self._check()
        acts = self._think(lambda: self._mind.tool_result(result.call_id, result.response))
        self._calls.discard(result.call_id)
        if self._turn_open:
            self._late += acts
        else:
            self._decided = acts
            self._do(partial(self._perform, self._mouth.go_on(), acts))
        await trio.lowlevel.checkpoint()

    async def report_heard(self, heard: ReportHeard) -> None:
        """The caller heard only so much of what was said last."""
        said = self._mouth.heard(heard)
        self._think(lambda: self._mind.cut(said))
        await trio.lowlevel.checkpoint()

    def events(self) -> AsyncIterator[StreamEvent]:
        """What comes back, until ``ModelLost``."""
        return _Events(self._mouth.next)

    async def run(self) -> None:
        """The stream's two tasks, until cancelled or lost; whoever reads or writes is told."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._ear.run)
                nursery.start_soon(self._work_off)
        except* ModelLost as group:
            self._mouth.fail(first_of_kind(group, ModelLost))

    # --- the mind's task ---------------------------------------------------------------------------------------

    async def _work_off(self) -> None:
        while True:
            while self._jobs:
                await self._jobs.popleft()()
            await self._work.park()

    async def _answer(self, answer: int, commit: CommitTurn, passages: Sequence[Passage]) -> None:
        text = await self._ear.wait_text()
        if not self._mouth.is_current(answer):
            return  # the caller went on: nobody waits for it
        if text:
            self._mouth.understood(text, final=True)
        late, self._late = self._late, ()
        acts = self._hear(commit.turn_id, text, passages)
        if not _was_looked_up(commit.outcome) and all(isinstance(act, Say) and act.text in _REFUSALS for act in acts):
            # On a busy machine the words come too late to be looked up: that is no reason to say that nobody knows.
            acts = self._think(lambda: self._mind.told_to_say(ASK_AGAIN)) if acts else acts
        await self._perform(answer, late + acts)

    async def _speak(self, answer: int, speak: Speak) -> None:
        acts = self._think(lambda: self._mind.told_to_say(speak.say))
        if speak.answer:
            found = passages_text_of(speak.notes)
            passages = [Passage(self._tenant_id, source, text, 1.0) for source, text in found]
            acts += self._hear(speak.turn_id, speak.answer, passages)
        if not speak.say and not speak.answer:
            acts, self._unheard = self._decided, False
        await self._perform(answer, acts)

    def _hear(self, turn_id: int, text: str, passages: Sequence[Passage]) -> Acts:
        if turn_id == self._heard_turn:
            self._unheard = False
            return self._decided
        if self._unheard:
            self._unheard = False
            self._think(lambda: self._mind.cut(""))
        self._heard_turn = turn_id
        return self._think(lambda: self._mind.hear(text, passages))

    async def _perform(self, answer: int, acts: Acts) -> None:
        if not self._mouth.is_current(answer):
            return
        self._decided, self._has_decided = acts, True
        for act in acts:
            match act:
                case Say(text):
                    if not await self._mouth.say(answer, text):
                        return
                case CallTool(call_id, name, arguments):
                    self._calls.add(call_id)
                    self._mouth.call(ToolCallRequested(call_id, name, arguments))
        if not self._calls and not self._jobs:
            self._mouth.finish()

    # --- parts -------------------------------------------------------------------------------------------------

    def _begin(self, what: str) -> None:
        self._check()
        if self._turn_open:
            raise MisuseError(f"{what} begins while a turn is open")
        self._jobs.clear()
        self._calls.clear()
        sounded = self._mouth.interrupt()
        self._unheard |= self._has_decided and not sounded
        self._has_decided = False

    def _do(self, job: Callable[[], Awaitable[None]]) -> None:
        self._jobs.append(job)
        self._work.unpark_all()

    def _check(self) -> None:
        if self._mouth.lost is not None:
            raise self._mouth.lost

    def _think(self, decide: Callable[[], T]) -> T:
        try:
            return decide()
        except Exception as error:
            # It judges whatever a stranger says. A mistake of ours in it costs the caller this voice, not the line.
            log.error("the dialogue failed", exc_info=error)
            raise ModelGarbled(f"the dialogue failed: {error!r}", resumable=False) from error


def _was_looked_up(outcome: RetrievalOutcome) -> bool:
    skipped = isinstance(outcome, Skipped) and outcome.why != "small talk"
    return not skipped and not isinstance(outcome, TimedOut)


class _Events:
    """An iterator rather than an async generator, which would have to be closed by whoever stops halfway."""

    def __init__(self, next_event: Callable[[], Awaitable[StreamEvent]]) -> None:
        self._next_event = next_event

    def __aiter__(self) -> "_Events":
        return self

    async def __anext__(self) -> StreamEvent:
        return await self._next_event()


@asynccontextmanager
async def open_local_stream(speech: Speech, mind: Mind, setup: SessionSetup) -> AsyncIterator[LocalStream]:
    """Take a place among those that ``speech`` serves, and hand out a session; no task of it outlives this.

    Raises:
        ModelRefused: every place is taken.
    """
    lost: ModelLost | None = None
    with speech.admit():
        async with trio.open_nursery() as tasks:
            stream = LocalStream(speech, mind, setup)
            tasks.start_soon(stream.run)
            try:
                yield stream
            except ModelLost as error:
                lost = error  # plain, not in the nursery's group
            tasks.cancel_scope.cancel()
    if lost is not None:
        raise lost
