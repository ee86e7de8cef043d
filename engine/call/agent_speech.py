"""What the agent is saying: which of its utterances are still to be heard, and their text. Pure."""

from engine.call.record import CallRecord


class AgentSpeech:
    """The utterances of one model session on their way to the caller's ear."""

    def __init__(self, record: CallRecord) -> None:
        self._record = record
        self._unheard: set[int] = set()
        self._text_ahead = ""  # transcript that ran ahead of its response's first sound
        self._model_done = True
        self._awaited_since: float | None = None
        self._cut_through = 0

    def asked(self) -> None:
        """The model owes a response."""
        self._model_done = False

    def awaited_since(self, at: float) -> None:
        """The caller's last sound: from here on they wait for an answer."""
        self._awaited_since = at

    def started(self, generation: int, turn_id: int, at: float) -> float | None:
        """First sound of a response; for how many seconds it was awaited, told once for each of the caller's turns."""
        self._model_done = False
        self._unheard.add(generation)
        if self._text_ahead:
            self._record.agent_says(turn_id, generation, self._text_ahead)
            self._text_ahead = ""
        waited = None if self._awaited_since is None else at - self._awaited_since
        self._awaited_since = None
        return waited

    def text(self, generation: int | None, delta: str, turn_id: int) -> None:
        """More of what it says; without a generation it belongs to the response that is about to start."""
        if generation is None:
            self._text_ahead += delta
        else:
            self._record.agent_says(turn_id, generation, delta)

    def finished(self, generation: int | None) -> None:
        """The model's turn is over."""
        self._model_done = True
        if generation is None:
            self._text_ahead = ""  # it was text alone: nobody heard it
        else:
            self._record.finished(generation)

    def interrupted(self) -> None:
        """The provider stopped the response; what came of it may still be heard."""
        self._model_done = True

    def cut(self, through_generation: int) -> None:
        """Nothing up to this one will be heard any more. No report is waited for: unsent sound is cut without one."""
        self._cut_through = max(self._cut_through, through_generation)

    def is_unheard(self, generation: int) -> bool:
        """Is this one of ours, and still to be heard to its end?"""
        return generation in self._unheard

    def left(self, generation: int) -> None:
        """That utterance was heard to its end, or cut."""
        self._unheard.discard(generation)

    @property
    def is_generated(self) -> bool:
        """The model has nothing more to say; the caller may still be hearing it."""
        return self._model_done

    @property
    def is_over(self) -> bool:
        """The model has nothing more to say, and the caller nothing more to hear."""
        return self._model_done and all(generation <= self._cut_through for generation in self._unheard)
