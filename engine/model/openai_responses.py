"""PURE: when an OpenAI Realtime session is asked for a response, and what becomes of it.

Only one response may be running, and none begins by itself. So what is wanted while another one is running waits for
its end, which always comes (``response.done``), also where it was stopped. A response that calls tools is followed by
one more, once it is over and the last of its calls has been answered.

Each request has a name of ours, its *ask*: the metadata that comes back with the response, and the id by which an
error about the request is recognised.
"""

import itertools
from collections import deque
from dataclasses import dataclass, field

from engine.wire import openai_realtime as codec
from engine.wire.openai_realtime_events import ErrorDetail, Response

ALREADY_RUNNING = "conversation_already_has_active_response"
NOTHING_TO_STOP = "response_cancel_not_active"
_ENDED_KEPT = 16  # late pieces of older responses than that are long gone


@dataclass(slots=True, eq=False)
class OwnResponse:
    """One response, from our request to its end.

    Attributes:
        id: the service's, once it has begun.
        stopped: by us; what still comes of it is dropped.
        quietly: nobody is to be told that it was stopped.
        said: something of it was passed on.
        calls: it called tools; ``unanswered`` are those whose results have not gone up.
        over: its ``response.done`` has come.
    """

    ask: str
    turn_id: int
    id: str | None = None
    stopped: bool = False
    quietly: bool = False
    said: bool = False
    calls: bool = False
    over: bool = False
    unanswered: set[str] = field(default_factory=set)


class Responses:
    """One session's. What is to be said to the service is put into ``outbox``, in order."""

    def __init__(self, outbox: deque[bytes]) -> None:
        self._outbox = outbox
        self._numbers = itertools.count(1)
        self._running: OwnResponse | None = None
        self._wanted: int | None = None  # the turn that the next response is for
        self._refused = False  # one that we know nothing of is running: its end is waited for
        self._ended: deque[str] = deque(maxlen=_ENDED_KEPT)
        self._callers: dict[str, OwnResponse] = {}  # call id -> the response that waits for its result
        self._known: set[str] = set()  # every call of this session that was passed on

    # --- what we do --------------------------------------------------------------------------------------------

    def want(self, turn_id: int) -> None:
        """Ask for a response, now or as soon as the running one is over."""
        self._wanted = turn_id
        self._refused = False
        self.go_on()

    def go_on(self) -> None:
        """Ask for what is wanted, if nothing is running any more."""
        if self._running is not None or self._wanted is None or self._refused:
            return
        turn_id, self._wanted = self._wanted, None
        self._running = OwnResponse(f"ask_{next(self._numbers)}", turn_id)
        metadata = {"turn": str(turn_id), "ask": self._running.ask}
        self._outbox.append(codec.create_response(metadata, event_id=self._running.ask))

    def stop(self, *, quietly: bool = False) -> bool:
        """Stop the running response and want no other; False where there was none to stop."""
        stopped = self._wanted is not None
        self._wanted = None
        if (running := self._running) is not None:
            if not running.stopped:
                stopped = True
                self._outbox.append(codec.cancel_response(running.id, event_id=f"stop_{running.ask}"))
            running.quietly = quietly and (running.quietly or not running.stopped)
            running.stopped = True
        return stopped

    def give_up_calls(self) -> tuple[str, ...]:
        """No response waits for a result any more; which calls that concerns."""
        given_up = tuple(self._callers)
        self._callers.clear()
        return given_up

    def called(self, call_id: str) -> bool:
        """The running response calls a tool; False where this call is known already."""
        if self._running is None or call_id in self._known:
            return False
        self._known.add(call_id)
        self._callers[call_id] = self._running
        self._running.calls = True
        self._running.unanswered.add(call_id)
        return True

    def is_known(self, call_id: str) -> bool:
        """Whether this session made that call."""
        return call_id in self._known

    def answered(self, call_id: str) -> None:
        """The result of a call has gone up; with the last of its response the model is to go on."""
        asked = self._callers.pop(call_id, None)
        if asked is not None:
            asked.unanswered.discard(call_id)
            self._follow(asked)

    # --- what the service does ---------------------------------------------------------------------------------

    def begun(self, response: Response) -> None:
        """A response has begun. One that is not ours is stopped: it would answer without notes."""
        ask = (response.metadata or {}).get("ask")
        running = self._running
        if running is not None and running.id in {None, response.id} and ask in {None, running.ask}:
            running.id = response.id
        elif response.id is not None:
            self._ended.append(response.id)
            self._outbox.append(codec.cancel_response(response.id, event_id=f"stop_{response.id}"))

    def heard(self, response_id: str) -> OwnResponse | None:
        """The response that a piece belongs to; None where it is to be dropped."""
        running = self._running
        if running is None or running.stopped:
            return None
        if running.id is None and response_id not in self._ended:
            running.id = response_id  # that it began was said, if at all, in a message that could not be read
        return running if running.id == response_id else None

    def ended(self, response: Response) -> OwnResponse | None:
        """A response is over; which of ours it was. ``go_on`` is to follow, once it is known what else is wanted."""
        running = self._running
        self._refused = False
        if response.id is not None:
            self._ended.append(response.id)
        if running is None:
            return None
        ask = (response.metadata or {}).get("ask")
        if ask != running.ask and (running.id is None or running.id != response.id):
            return None
        self._running = None
        running.over = True
        self._follow(running)
        return running

    def failed(self, error: ErrorDetail) -> OwnResponse | None:
        """The service refused a message of ours; the response that will not be, if it was about one."""
        running = self._running
        if running is None:
            return None
        about_it = error.event_id == running.ask or (error.event_id is None and error.code == ALREADY_RUNNING)
        if about_it and running.id is None:
            self._running = None
            if error.code != ALREADY_RUNNING:
                return running
            self._refused = True
            if not running.stopped and self._wanted is None:
                self._wanted = running.turn_id  # after the one that is running has ended
        elif error.code == NOTHING_TO_STOP and running.stopped and error.event_id in {None, f"stop_{running.ask}"}:
            self._running = None  # it is over, though we were not told
            if running.id is not None:
                self._ended.append(running.id)
            return running
        return None

    def _follow(self, asked: OwnResponse) -> None:
        if asked.over and asked.calls and not asked.unanswered and not asked.stopped:
            self.want(asked.turn_id)
