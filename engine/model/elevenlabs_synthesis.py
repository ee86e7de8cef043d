"""One connection to ElevenLabs: text goes in as it is written, its sound comes out, utterance after utterance.

It serves a whole session. An utterance has a context of its own; the next one is opened as soon as one is closed, so
that the first sentence goes up without anything before it, and so that there is always one to be kept alive. What comes
of a context that was closed before its end is stale and dropped. Mu-law passes as it is.

The service ends a connection that has more than ``MOST_CONTEXTS``, and a closed one counts until it has said what was
flushed: so a new one waits for that, where callers interrupt faster than the service closes.
"""

import math
from collections.abc import Callable
from typing import Final, NoReturn

import trio

from engine.errors import ModelGarbled, ModelLost, ModelProtocolFault, ModelRefused, ModelStalled
from engine.model.elevenlabs_sentences import Sentences
from engine.model.elevenlabs_utterance import Done, Said, Spoken, Utterance
from engine.model.losses import most_telling
from engine.model.stream import ModelSocket
from engine.wire import elevenlabs as codec

SOUND_WITHIN_S: Final = 1.0  # after a sentence went up, and from one piece of its sound to the next
FINAL_WITHIN_S: Final = 1.0  # all has been said, and the service does not say so: then it is taken for said
FORGOTTEN_AFTER_S: Final = 10.0  # a closed context whose last word never came does not count as open any more
KEEP_ALIVE_S: Final = 60.0  # a third of what the service allows
FAULTS_TOLERATED: Final = 5  # while nothing is being said; in an utterance each would be a hole in it


class Synthesis:
    """One open connection. ``run`` does its work; what the others change takes effect at once."""

    def __init__(self, socket: ModelSocket, settings: dict[str, float], language: str) -> None:
        self._socket = socket
        self._settings = settings
        self._sentences = Sentences(language)
        # Without a bound: what waits here is text of one answer, and whoever hears it ends one that has no end.
        self._orders_send, self._orders = trio.open_memory_channel[bytes](math.inf)
        self._utterance: Utterance | None = None  # being said
        self._finished = False  # it has been given all of its text
        self._since = 0.0  # when its sound came last, or was asked for
        self._numbers = 0
        self._open: str | None = None  # the context of this utterance or of the next
        self._closing: dict[str, float] = {}  # closed contexts that have not said their last word, and since when
        self._waiting: list[str] = []  # sentences without a context, because there are too many
        self._faults = self._stale = 0
        self._nap = trio.CancelScope()

    # --- text -------------------------------------------------------------------------------------------------------

    def write(self, delta: str) -> None:
        """More text of the utterance, or the first of a new one. Never after ``finish`` before that one is done."""
        for sentence in self._sentences.write(delta):
            self._say(sentence)

    def finish(self) -> None:
        """The utterance has all of its text; ``Done`` follows where anything of it can be said (``busy``)."""
        if rest := self._sentences.rest():
            self._say(rest)
        if self._utterance is not None and not self._finished:
            self._finished = True
            if not self._utterance.owes_sound:
                self._since = trio.current_time()
            if not self._waiting:
                self._close()
            self._plan()

    def drop(self) -> None:
        """Say no more of the utterance: its context is closed, and what still comes of it is stale."""
        self._sentences.rest()
        self._waiting.clear()
        if self._utterance is not None:
            if self._open == self._utterance.context_id:
                self._close()
            self._utterance = None
            self._finished = False
            self._plan()

    @property
    def busy(self) -> bool:
        """Something was written that has not been said to its end."""
        return self._utterance is not None or bool(self._sentences.pending.strip())

    @property
    def unsaid(self) -> str:
        """What was written of the utterance and has not come as sound; more text may follow it as it is."""
        said = self._utterance.unsaid if self._utterance is not None else ""
        return f"{said} {self._sentences.pending}".lstrip()

    def _say(self, sentence: str) -> None:
        if not any(char.isalnum() for char in sentence):
            return  # a voice makes a noise of what cannot be said
        if self._utterance is None:
            self._utterance = Utterance(self._open or "")
            self._finished = False
        if not self._utterance.owes_sound:
            self._since = trio.current_time()
        self._utterance.add(sentence)
        self._waiting.append(sentence)
        self._send_waiting()
        self._plan()

    # --- contexts ---------------------------------------------------------------------------------------------------

    def _send_waiting(self) -> None:
        if self._open is None:
            self._open_next()
        if self._open is None or self._utterance is None:
            return
        self._utterance.context_id = self._open
        for sentence in self._waiting:
            self._order(codec.say(self._open, sentence))
        self._waiting.clear()
        if self._finished:
            self._close()

    def _open_next(self) -> None:
        now = trio.current_time()
        for context_id in [one for one, at in self._closing.items() if now >= at + FORGOTTEN_AFTER_S]:
            del self._closing[context_id]
        if len(self._closing) < codec.MOST_CONTEXTS:
            self._numbers += 1
            self._open = f"utterance-{self._numbers}"
            self._order(codec.open_context(self._open, self._settings))

    def _close(self) -> None:
        """Close the context of the utterance, and have one for the next."""
        if self._open is not None:
            self._order(codec.close_context(self._open))
            self._closing[self._open] = trio.current_time()
            self._open = None
            self._open_next()

    def _order(self, message: bytes) -> None:
        self._orders_send.send_nowait(message)

    # --- at work ----------------------------------------------------------------------------------------------------

    async def run(self, tell: Callable[[Spoken], None]) -> NoReturn:
        """Say what is written, until the voice is lost.

        Args:
            tell: gets what is said, in order; must not block.

        Raises:
            ModelLost: refused, stalled, garbled or closed; always one plain exception.
        """
        self._open_next()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._send)
                nursery.start_soon(self._keep_alive)
                nursery.start_soon(self._watch, tell)
                await self._read(tell)
        except BaseExceptionGroup as group:
            lost, other = group.split(ModelLost)
            if other is not None or lost is None:
                raise
            raise most_telling(lost) from None
        raise AssertionError("a voice is read until it is lost")

    async def _send(self) -> None:
        async for message in self._orders:
            await self._socket.send(message)

    async def _keep_alive(self) -> None:
        while True:
            await trio.sleep(KEEP_ALIVE_S)
            if self._open is not None:
                self._order(codec.keep_alive(self._open))

    async def _read(self, tell: Callable[[Spoken], None]) -> None:
        while True:
            message = await self._socket.receive()
            try:
                events = codec.decode(message)
            except ModelProtocolFault as fault:
                self._faults += 1
                if self.busy or self._faults > FAULTS_TOLERATED:
                    raise ModelGarbled(f"the voice said what cannot be used: {fault}") from fault
                continue
            for event in events:
                self._take(event, tell)

    def _take(self, event: codec.Event, tell: Callable[[Spoken], None]) -> None:
        match event:
            case codec.Refusal(code, kind, message):
                raise ModelRefused(f"the voice said: {code} {kind} {message}", code=code or None)
            case codec.Sound(context_id, mulaw, alignment):
                utterance = self._utterance
                if utterance is None or utterance.context_id != context_id:
                    self._stale += 1
                    return
                self._since = trio.current_time()
                tell(Said(utterance, mulaw, utterance.sound(mulaw, alignment)))
                self._plan()
            case codec.Final(context_id):
                self._closing.pop(context_id, None)
                utterance = self._utterance
                if utterance is not None and utterance.context_id == context_id and context_id != self._open:
                    self._done(utterance, tell)
                if self._waiting or self._open is None:
                    self._send_waiting()

    def _done(self, utterance: Utterance, tell: Callable[[Spoken], None]) -> None:
        if not utterance.received_ms:
            raise ModelGarbled("the voice ended an utterance without a sound")
        self._utterance = None
        self._finished = False
        tell(Done(utterance, utterance.complete()))
        self._plan()

    # --- patience ---------------------------------------------------------------------------------------------------

    async def _watch(self, tell: Callable[[Spoken], None]) -> None:
        while True:
            if (utterance := self._utterance) is not None and trio.current_time() >= self._due():
                if utterance.owes_sound or not utterance.received_ms:
                    raise ModelStalled(f"no sound for {SOUND_WITHIN_S:g} s from the voice")
                self._done(utterance, tell)
            with trio.CancelScope() as self._nap:
                self._plan()
                await trio.sleep_forever()

    def _plan(self) -> None:
        self._nap.deadline = self._due()

    def _due(self) -> float:
        if self._utterance is None:
            return math.inf
        if self._utterance.owes_sound:
            return self._since + SOUND_WITHIN_S
        return self._since + FINAL_WITHIN_S if self._finished else math.inf
