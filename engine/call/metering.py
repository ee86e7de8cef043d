"""A model's stream that counts what goes through it, on behalf of the call's ``ModelUse``. A layer per window, not per
frame; what only passes through adds no coroutine.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from typing import Any

from engine.call.use import ModelUse
from engine.messages import CallerAudio, CommitTurn, ReportHeard, Speak, ToolResult, UsageReported
from engine.model.provider import AudioDelta, ModelStream, StreamEvent


class MeteredStream:
    """See ``ModelStream``. Windows outside a turn do not count: no stream sends them."""

    def __init__(self, stream: ModelStream, use: ModelUse) -> None:
        self._stream, self._use = stream, use
        self._turn_open = False

    def open_turn(self) -> Coroutine[Any, Any, None]:
        """See ``ModelStream``."""
        self._turn_open = True
        return self._stream.open_turn()

    def send_audio(self, window: CallerAudio) -> Coroutine[Any, Any, None]:
        """See ``ModelStream``."""
        if self._turn_open:
            self._use.bytes_in += len(window.mulaw)
        return self._stream.send_audio(window)

    def send_audio_now(self, window: CallerAudio) -> bool:
        """See ``ModelStream``."""
        is_sent = self._stream.send_audio_now(window)
        if is_sent and self._turn_open:
            self._use.bytes_in += len(window.mulaw)
        return is_sent

    def commit_turn(self, commit: CommitTurn) -> Coroutine[Any, Any, None]:
        """See ``ModelStream``."""
        self._turn_open = False
        return self._stream.commit_turn(commit)

    def commit_turn_now(self, commit: CommitTurn) -> bool:
        """See ``ModelStream``."""
        is_sent = self._stream.commit_turn_now(commit)
        if is_sent:
            self._turn_open = False
        return is_sent

    def speak(self, speak: Speak) -> Coroutine[Any, Any, None]:
        """See ``ModelStream``."""
        return self._stream.speak(speak)

    def send_tool_result(self, result: ToolResult) -> Coroutine[Any, Any, None]:
        """See ``ModelStream``."""
        return self._stream.send_tool_result(result)

    def report_heard(self, heard: ReportHeard) -> Coroutine[Any, Any, None]:
        """See ``ModelStream``."""
        return self._stream.report_heard(heard)

    async def events(self) -> AsyncGenerator[StreamEvent, None]:
        """See ``ModelStream``. Whoever stops halfway closes it, as the session does with every generator."""
        events: AsyncIterator[StreamEvent] = self._stream.events()
        try:
            async for event in events:
                if isinstance(event, AudioDelta):
                    self._use.bytes_out += len(event.mulaw)
                elif isinstance(event, UsageReported):
                    self._use.tokens(event.tokens)
                yield event
        finally:
            if isinstance(events, AsyncGenerator):
                await events.aclose()
