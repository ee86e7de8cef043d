"""The calls that one worker knows of: on the line, waited for, or remembered for a while. No clock, no tasks."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from engine.call.outcome import ON_PURPOSE, Outcome, Reason
from engine.call.record import CallRecord
from engine.call.switchboard_types import EndState
from engine.store.live_calls import LiveCall, LiveState, StreamProof
from engine.telephony.line import MediaLine

REMEMBERED_CALLS = 5_000  # ended or ringing calls kept for recovery; the oldest is forgotten first
REMEMBERED_S = 900.0

_ELSEWHERE = {
    LiveState.RINGING: EndState.UNKNOWN,
    LiveState.LIVE: EndState.LIVE,
    LiveState.LOST: EndState.LOST,
    LiveState.TRANSFERRING: EndState.TRANSFERRING,
}
_MEANT = frozenset(str(reason) for reason in ON_PURPOSE)


@dataclass(slots=True)
class Entry:
    """One call as the switchboard knows it.

    Attributes:
        seen_at: when it rang, or was last on the line.
        over: the carrier said so itself.
        wrapped_up: its end was handed on.
        epoch: of our claim at the live store; 0 where we have none, and nothing can be kept.
        proof: what its last stream claimed it with.
        moved: another worker has taken it over: it is not ours to end.
        left: this process goes, and leaves the call to whoever is asked for it next.
        has_earlier: what other workers kept of it is in its record.
        found: as the live store had it when it was last asked, where it was another worker's.
    """

    call_sid: str
    tenant_id: str
    caller: str
    seen_at: float
    record: CallRecord | None = None
    line: MediaLine | None = None
    attempts: int = 0
    over: bool = False
    wrapped_up: bool = False
    epoch: int = 0
    proof: StreamProof | None = None
    moved: bool = False
    left: bool = False
    has_earlier: bool = False
    found: LiveCall | None = None

    @property
    def outcome(self) -> Outcome | None:
        """Of its last leg, or of the call."""
        return self.record.outcome if self.record else None

    def stands(self) -> EndState:
        """How the call stands, as far as it is known here."""
        if self.line is None and self.found is not None:
            return _stands_elsewhere(self.found)
        if self.record is None:
            return EndState.UNKNOWN
        if self.outcome is not None and self.outcome.reason is Reason.TRANSFERRED:
            return EndState.TRANSFERRING
        if self.outcome is not None and self.outcome.reason in ON_PURPOSE:
            return EndState.ENDED
        return EndState.LIVE if self.line is not None else EndState.LOST

    def live_state(self) -> LiveState:
        """The same, for the live store."""
        if self.record is None:
            return LiveState.RINGING
        if self.outcome is not None and self.outcome.reason is Reason.TRANSFERRED:
            return LiveState.TRANSFERRING
        if self.wrapped_up or (self.outcome is not None and self.outcome.reason in ON_PURPOSE):
            return LiveState.ENDED
        return LiveState.LIVE if self.line is not None else LiveState.LOST


def _stands_elsewhere(found: LiveCall) -> EndState:
    if found.state is LiveState.ENDED:
        # Ended in another way than meant, and not waited for any more: a caller who is back all the same is served.
        return EndState.ENDED if found.reason in _MEANT else EndState.LOST
    return _ELSEWHERE[found.state]


class Entries:
    """By CallSid, the newest last. ``is_held``: which may not be forgotten; ``on_line``: how many are served."""

    def __init__(self, *, is_held: Callable[[str], bool], on_line: Callable[[], int]) -> None:
        self._all: OrderedDict[str, Entry] = OrderedDict()
        self._is_held, self._on_line = is_held, on_line

    def get(self, call_sid: str) -> Entry | None:
        """That call, if it is known."""
        return self._all.get(call_sid)

    def ensure(self, call_sid: str, tenant_id: str, caller: str, now: float) -> Entry:
        """That call, known from now on."""
        entry = self._all.get(call_sid)
        if entry is None:
            entry = Entry(call_sid, tenant_id, caller, now)
            self._remember(entry)
        entry.caller = entry.caller or caller
        return entry

    def seen(self, entry: Entry) -> None:
        """It was on the line until now."""
        if self._all.get(entry.call_sid) is entry:
            self._all.move_to_end(entry.call_sid)

    def end_is_kept(self, call_sid: str) -> None:
        """It is remembered for how it ended; what was said in it is in the store, and would fill the memory here."""
        entry = self._all.get(call_sid)
        if entry is not None and entry.record is not None and entry.wrapped_up and entry.line is None:
            entry.record = entry.record.remains()

    def forget(self, entry: Entry) -> None:
        """It is another worker's."""
        if self._all.get(entry.call_sid) is entry:
            del self._all[entry.call_sid]

    def sids(self) -> list[str]:
        """Of all, the oldest first."""
        return list(self._all)

    def _remember(self, entry: Entry) -> None:
        """Keep it as the newest, and forget the oldest: too many, or too old. Those that are held do not count."""
        self._all[entry.call_sid] = entry
        oldest = entry.seen_at - REMEMBERED_S
        while (first := next(iter(self._all.values()))) is not entry:
            if self._is_held(first.call_sid):
                self._all.move_to_end(first.call_sid)
            elif len(self._all) - self._on_line() > REMEMBERED_CALLS or first.seen_at <= oldest:
                del self._all[first.call_sid]
            else:
                break
