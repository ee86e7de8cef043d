"""PURE: the response that a voice is saying, or said last: what was written of it, what was said, what was heard.

All sound of the voice is one long tape, and the model's own, where it speaks itself, is what follows on it.
"""

from engine.audio.g711 import BYTES_PER_MS
from engine.model.elevenlabs_utterance import Utterance


class Response:
    """Kept from the first word of one response to the first of the next.

    Attributes:
        under_way: the model has been asked and has not ended its turn.
        is_callers_turn: nothing that the model writes now is an answer.
        sounds: a piece of its sound has been handed on.
        rest: what the voice did not say of it when it was lost.
        tape_ms: how much the voice has said in all.
    """

    def __init__(self) -> None:
        self.under_way = self.is_callers_turn = self.sounds = False
        self.rest = ""
        self.tape_ms = 0.0
        self._begins = True
        self._stops = self._stopped = False
        self._written = ""
        self._said: list[tuple[float, Utterance]] = []  # with where on the tape each begins

    # --- what the model does ----------------------------------------------------------------------------------------

    def asked(self) -> None:
        """What the model writes from now on is a new response."""
        self.is_callers_turn = False
        self.under_way = self._begins = True
        self.rest = ""

    def goes_on(self) -> None:
        """What the model writes or says from now on belongs to the same response."""
        self.under_way = True

    def broken_off(self) -> None:
        """The caller begins, or something else is asked: where the model is at it, it will say that it stopped."""
        self._stops = self._stops or self.under_way
        self.under_way = False
        self.rest = ""

    def interrupted(self) -> bool:
        """The model says that it stopped; whether it did because of us."""
        self._stopped, self._stops = self._stops, False
        return self._stopped

    def ended(self) -> None:
        """The model ended a turn: this one, or the one that it stopped before."""
        if not self._stopped:
            self.under_way = False
        self._stopped = False

    def write(self, delta: str) -> None:
        """More text."""
        if self._begins:
            self._begins = self._stops = self._stopped = self.sounds = False
            self._written = ""
            self._said = []
        self._written += delta

    @property
    def is_blank(self) -> bool:
        """Nothing has been written of it."""
        return self._begins or not self._written.strip()

    # --- what the voice does ----------------------------------------------------------------------------------------

    def said(self, utterance: Utterance, mulaw: bytes) -> float:
        """A piece of sound of this utterance; where on the tape it begins."""
        at_ms = self.tape_ms
        if not self._said or self._said[-1][1] is not utterance:
            self._said.append((at_ms, utterance))
        self.tape_ms += len(mulaw) / BYTES_PER_MS
        return at_ms

    @property
    def is_unheard(self) -> bool:
        """Something was written of it, and no sound of that was handed on."""
        return bool(self._written.strip()) and not self.sounds

    def heard_until(self, tape_ms: float) -> str | None:
        """The words that were heard, where it was cut there on the tape.

        None: nothing that the model does not believe anyway, because all of it was heard, or it is of an older one.
        """
        if not self._said or tape_ms < self._said[0][0]:
            return None
        words = " ".join(utterance.heard(tape_ms - start_ms) for start_ms, utterance in self._said).strip()
        return None if words.split() == self._written.split() else words
