"""PURE: what an answer is owed for, kept for as long as it is owed, and how to ask for that answer once more.

| what was asked last          | first time more                      | second time more               |
|------------------------------|--------------------------------------|--------------------------------|
| a turn of the caller         | its sound and its notes, as a turn   | its words and notes in writing |
| an instruction to speak      | the instruction                      |                                |
| tool results                 | the results in writing               |                                |
| an answer that was broken off| the rest of it (once for each turn)  |                                |

Results go up in writing because a service refuses a second answer to the same call, and refusing ends the session.
Kept are references to windows that went up anyway, the last ``KEPT_S`` of a turn; nothing is kept once it is answered.
"""

import json
import secrets
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from engine.messages import CallerAudio, CommitTurn, RetrievalOutcome, Skipped, Speak, ToolResult
from engine.model.setup import notes_text

KEPT_S = 15.0
_BYTES_PER_S = 8000
_GO_ON = (
    "You were cut off in the middle of your answer by mistake; the caller was silent. "
    "Go on from where you stopped, and finish your answer."
)


@dataclass(frozen=True, slots=True)
class AskWithAudio:
    """Open a turn, send these windows, and commit it with the same notes."""

    windows: tuple[CallerAudio, ...]
    commit: CommitTurn


@dataclass(frozen=True, slots=True)
class AskInWriting:
    """Let the model speak, told so."""

    speak: Speak
    how: Literal["words", "instruction", "result", "rest"]


Again: TypeAlias = AskWithAudio | AskInWriting


class OwedTurn:
    """The last thing that was asked of a session."""

    def __init__(self) -> None:
        self._turn_id = 0
        self._windows: deque[CallerAudio] = deque()
        self._bytes = 0
        self._understood = ""
        self._results: list[ToolResult] = []
        self._tries: Iterator[Again] = iter(())
        self._resumed = False

    def opened(self, turn_id: int) -> None:
        """The caller begins: what was asked before is not asked again."""
        self.paid()
        self._turn_id = turn_id
        self._resumed = False

    def window(self, window: CallerAudio) -> None:
        """More of what the caller says."""
        self._windows.append(window)
        self._bytes += len(window.mulaw)
        while self._bytes > KEPT_S * _BYTES_PER_S:
            self._bytes -= len(self._windows.popleft().mulaw)

    def understood(self, text: str) -> None:
        """What the provider itself made of it."""
        self._understood = text

    def committed(self, commit: CommitTurn) -> None:
        """The turn is to be answered."""
        self._tries = self._for_turn(commit)

    def spoke(self, speak: Speak) -> None:
        """An instruction is to be followed."""
        self.paid()
        self._turn_id, self._resumed = speak.turn_id, False
        self._tries = iter((AskInWriting(speak, "instruction"),))

    def told(self, result: ToolResult) -> None:
        """A tool's result is to be reacted to."""
        self._results.append(result)
        self._tries = self._for_results()

    def broken_off(self) -> None:
        """The answer stopped in the middle, and not by our doing."""
        if not self._resumed:
            self._resumed = True
            self._tries = iter((AskInWriting(Speak(self._turn_id, _GO_ON), "rest"),))

    def paid(self) -> None:
        """The answer has begun, or nobody waits for it any more."""
        self._windows.clear()
        self._bytes = 0
        self._understood = ""
        self._results.clear()
        self._tries = iter(())

    def next_try(self) -> Again | None:
        """How to ask now; None where there is no other way left."""
        return next(self._tries, None)

    @property
    def turn_id(self) -> int:
        """Which turn it belongs to."""
        return self._turn_id

    @property
    def kept_bytes(self) -> int:
        """Of the caller's sound."""
        return self._bytes

    def _for_turn(self, commit: CommitTurn) -> Iterator[Again]:
        if self._windows:
            yield AskWithAudio(tuple(self._windows), commit)
        if words := _asked_words(commit.outcome) or self._understood:
            told = f'The caller said: "{_quotable(words)}". You have not answered yet: answer the caller now.'
            notes = notes_text(commit.outcome, secrets.token_hex(4))
            text = told if notes is None else f"{told}\n{notes}"
            yield AskInWriting(Speak(commit.turn_id, text, answer=words, notes=notes or ""), "words")

    def _for_results(self) -> Iterator[Again]:
        lines = [f"[result of the tool {result.name}] {_as_json(result)}" for result in self._results]
        yield AskInWriting(Speak(self._turn_id, "\n".join([*lines, "Tell the caller now what came of it."])), "result")


def _asked_words(outcome: RetrievalOutcome) -> str:
    return "" if isinstance(outcome, Skipped) else outcome.query.strip()


def _quotable(words: str) -> str:
    return " ".join(words.replace('"', "'").split())


def _as_json(result: ToolResult) -> str:
    return json.dumps(dict(result.response), ensure_ascii=False, default=str)
