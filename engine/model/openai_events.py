"""What an OpenAI Realtime server says -> what a stream says to its session, and what has to be answered. PURE.

What is said on behalf of a response that we stopped is dropped; what it leaves behind in the conversation is cleared
up when it is over. The end of a response that called tools is no end of the model's turn.
"""

from collections import Counter, deque
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from engine.messages import ToolCallRequested, UsageReported
from engine.model.openai_errors import name_of, stop_if_fatal
from engine.model.openai_responses import OwnResponse, Responses
from engine.model.openai_said import Said
from engine.model.openai_words import CallerWords
from engine.model.provider import (
    AudioDelta,
    GenerationComplete,
    Interrupted,
    Nonsense,
    StreamEvent,
    TextDelta,
    TranscriptDelta,
    TurnComplete,
)
from engine.wire import openai_realtime as codec
from engine.wire import openai_realtime_events as wire

NOT_DONE: Final = '{"status":"stopped","message":"This was not done: the caller spoke before it began."}'
NOT_ARGUMENTS: Final = '{"status":"refused","message":"The arguments are not a JSON object. Call again with one."}'
KEPT_FOR_TURNS: Final = 2  # what we told the model for one turn: notes, and instructions to speak
_CONTENT_FILTER: Final = "content_filter"


class Downlink:
    """One session's events, in order. What is to be said to the service is put into ``outbox``."""

    def __init__(self, outbox: deque[bytes], responses: Responses, said: Said, words: CallerWords) -> None:
        self._outbox = outbox
        self._responses = responses
        self._said = said
        self._words = words
        self._told: deque[tuple[int, str]] = deque()  # which asking it was for, and the item
        self._askings = 0
        self.errors: Counter[str] = Counter()  # that the session survived

    def asking(self, told: list[str]) -> None:
        """The model is asked something new, for which these items were put into the conversation."""
        self._askings += 1
        self._told.extend((self._askings, item_id) for item_id in told)

    def take(self, event: wire.ServerEvent) -> Iterator[StreamEvent]:
        """What this event means; mostly one event, sometimes none or several.

        Raises:
            ModelClosed: the service says that it cannot go on.
        """
        match event:
            case wire.AudioDelta(response_id, item_id, mulaw):
                if (asked := self._responses.heard(response_id)) is not None and mulaw:
                    asked.said = True
                    yield AudioDelta(mulaw, self._said.sound(response_id, item_id, mulaw))
            case wire.TranscriptDelta(response_id, _, delta):
                if self._responses.heard(response_id) is not None and delta:
                    yield TranscriptDelta(delta)
            case wire.TextDelta(response_id, item_id, delta):
                if (asked := self._responses.heard(response_id)) is not None and delta:
                    asked.said = True
                    self._said.text(response_id, item_id)
                    yield TextDelta(delta)
            case wire.ResponseCreated(response):
                self._responses.begun(response)
            case wire.ItemDone(response_id, item):
                if self._responses.heard(response_id) is not None:
                    yield from self._item_done(item)
            case wire.ResponseDone(response):
                yield from self._response_done(response)
            case wire.ErrorSaid(error):
                stop_if_fatal(error)
                self.errors[name_of(error)] += 1
                if (asked := self._responses.failed(error)) is not None:
                    yield from _stopped(asked) if asked.stopped else _unfinished(asked, f"refused: {name_of(error)}")
                self._responses.go_on()
            case _:
                yield from self._words.take(event)

    def _item_done(self, item: wire.Item) -> Iterator[StreamEvent]:
        """A call is passed on once it is whole: one that was stopped halfway may be anything."""
        if item.type != "function_call" or item.status not in {None, "completed"} or not item.call_id:
            return
        if not self._responses.called(item.call_id):
            return  # said twice
        if (arguments := _arguments(item.arguments)) is not None:
            yield ToolCallRequested(item.call_id, item.name or "", arguments)
            return
        self._answer(item.call_id, NOT_ARGUMENTS)
        self._responses.answered(item.call_id)
        yield Nonsense(f"the arguments of a call of {item.name} are not a JSON object")

    def _response_done(self, response: wire.Response) -> Iterator[StreamEvent]:
        details = response.status_details or wire.StatusDetails()
        stop_if_fatal(details.error)
        if response.usage is not None:
            yield UsageReported(_tokens(response.usage))
        asked = self._responses.ended(response)
        if asked is None or asked.stopped:
            self._clear_up(response)
        if asked is not None:
            yield from self._ended(asked, response.status or "", details)
        self._responses.go_on()

    def _ended(self, asked: OwnResponse, status: str, details: wire.StatusDetails) -> Iterator[StreamEvent]:
        reason = details.reason or ""
        if details.error is not None:
            reason = name_of(details.error)
        if asked.stopped:
            yield from _stopped(asked)
        elif asked.calls:
            pass  # the response after the results ends the turn
        elif status in {"failed", "cancelled"} or (status == "incomplete" and reason != _CONTENT_FILTER):
            yield from _unfinished(asked, f"{status}: {reason}")
        else:
            self._forget()
            yield GenerationComplete()
            yield TurnComplete(reason)

    def _clear_up(self, response: wire.Response) -> None:
        """What nobody heard of is taken out of the conversation; what was called and not passed on was not done."""
        for item in response.output or ():
            if item.type == "function_call" and item.status == "completed" and item.call_id:
                if not self._responses.is_known(item.call_id):
                    self._answer(item.call_id, NOT_DONE)
            elif item.type == "message" and item.id and not self._said.is_passed_on(item.id):
                self._outbox.append(codec.delete(item.id, event_id=f"delete_{item.id}"))

    def _answer(self, call_id: str, output: str) -> None:
        self._outbox.append(codec.tool_output(call_id, output, event_id=f"output_{call_id}"))

    def _forget(self) -> None:
        """Every response is billed with all that the conversation holds, so what was for old turns goes."""
        while self._told and self._told[0][0] <= self._askings - KEPT_FOR_TURNS:
            item_id = self._told.popleft()[1]
            self._outbox.append(codec.delete(item_id, event_id=f"delete_{item_id}"))


def _stopped(asked: OwnResponse) -> Iterator[StreamEvent]:
    if not asked.quietly:
        yield Interrupted()
        yield TurnComplete("stopped")


def _unfinished(asked: OwnResponse, reason: str) -> Iterator[StreamEvent]:
    """Not by us: what was begun is to be gone on with, what was not is unanswered."""
    if asked.said:
        yield Interrupted()
    yield TurnComplete(reason)


def _arguments(text: str | None) -> Mapping[str, Any] | None:
    """None where they are not an object; no text at all is an empty one."""
    if not (text or "").strip():
        return {}
    try:
        arguments = orjson.loads(text or "")
    except orjson.JSONDecodeError:
        return None
    return arguments if isinstance(arguments, dict) else None


def _tokens(usage: wire.Usage) -> dict[str, int]:
    """By the service's names; the sum also by the name under which sums are kept."""
    given, made = usage.input_token_details or wire.InputDetails(), usage.output_token_details or wire.OutputDetails()
    counted = {
        "totalTokenCount": usage.total_tokens,
        "input_tokens": usage.input_tokens,
        "input_text_tokens": given.text_tokens,
        "input_audio_tokens": given.audio_tokens,
        "input_cached_tokens": given.cached_tokens,
        "output_tokens": usage.output_tokens,
        "output_text_tokens": made.text_tokens,
        "output_audio_tokens": made.audio_tokens,
    }
    return {name: count for name, count in counted.items() if count is not None}
