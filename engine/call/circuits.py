"""Which models fail for everyone? A circuit for each, shared by all calls of a worker: new calls do not wait for them.

    CLOSED ──``CALLS`` different calls failed lately, and fewer did not──► OPEN ──its pause is over──► DUE
       ▲                                                                    ▲                           │ one may try
       └──────── a session spoke ───────── TRIED ───── it failed: a longer pause ┘ ◄────────────────────┘

A call *failed* at a model if the last thing that it had of it was a session that was refused, never spoke, or ended
within ``START_S``. It is calls that are counted, and not sessions: one call's bad luck opens nothing. A model that is
busy (``ModelBusy``), or will not have what we sent (a handle, a history), is not broken: it says so to one call.

``Circuit`` is PURE: every instant is an argument. ``Circuits`` holds one per model, and tells of their changes.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from enum import Enum

from engine.errors import ModelBusy, ModelLost
from engine.log import get_logger
from engine.metrics import Metrics

CALLS = 3  # of so many it can be said that it is not them
WINDOW_S = 60.0
PAUSES_S = (5.0, 10.0, 20.0, 40.0)  # the longest is what a model that is back is noticed after
TRY_S = 15.0  # whoever tries has heard or lost it by then; else (a message is being left, say) somebody else may
START_S = 5.0  # a session that ends so soon after it was opened was not one

log = get_logger("call.circuits")


class State(Enum):
    """See the module."""

    CLOSED = "ok"
    OPEN = "failing"
    DUE = "due"
    TRIED = "being tried"


class Circuit:
    """Of one model."""

    def __init__(self) -> None:
        self._calls: OrderedDict[str, tuple[float, bool]] = OrderedDict()  # when it was last told, and: it failed
        self._count: Counter[bool] = Counter()
        self._openings = 0
        self._until = 0.0
        self._tried_by: object | None = None
        self._tried_until = 0.0

    def state(self, now: float) -> State:
        """Where it stands."""
        if not self._openings:
            return State.CLOSED
        if self._tried_by is not None and now < self._tried_until:
            return State.TRIED
        return State.OPEN if now < self._until else State.DUE

    def lets_through(self, now: float) -> bool:
        """May one more session be opened? Else another model had better be asked."""
        return self.state(now) in {State.CLOSED, State.DUE}

    def begin(self, session: object, now: float) -> None:
        """This session is being opened, allowed or not: its end must be told."""
        if self.state(now) is State.DUE:
            self._tried_by, self._tried_until = session, now + TRY_S

    def spoke(self, call: str, now: float) -> None:
        """A session of this call has said something."""
        if self._openings:
            # Also where it was not the one to try: the model is there.
            self._calls.clear()
            self._count.clear()
            self._openings, self._tried_by = 0, None
        self._told(call, now, failed=False)

    def failed(self, session: object, call: str, now: float) -> None:
        """A session of this call failed at its start."""
        self._told(call, now, failed=True)
        if self._openings:
            if self._tried_by is session:
                self._open(now)
        elif self._count[True] >= CALLS and self._count[True] > self._count[False]:
            self._open(now)

    def left(self, session: object) -> None:
        """The session is over, and says nothing about the model."""
        if self._tried_by is session:
            self._tried_by = None

    def _open(self, now: float) -> None:
        self._until = now + PAUSES_S[min(self._openings, len(PAUSES_S) - 1)]
        self._openings += 1
        self._tried_by = None

    def _told(self, call: str, now: float, *, failed: bool) -> None:
        if (earlier := self._calls.pop(call, None)) is not None:
            self._count[earlier[1]] -= 1
        self._calls[call] = now, failed
        self._count[failed] += 1
        while (oldest := next(iter(self._calls.values())))[0] <= now - WINDOW_S:
            self._calls.popitem(last=False)
            self._count[oldest[1]] -= 1


class Circuits:
    """Of all models of a worker. Plain calls; every instant is an argument."""

    def __init__(self, metrics: Metrics, models: Iterable[str] = ()) -> None:
        self._metrics = metrics
        self._circuits: dict[str, Circuit] = {}
        self._open: set[str] = set()
        for name in models:
            self._of(name)

    def lets_through(self, name: str, now: float) -> bool:
        """May a session of this model be opened, or had another one better be asked?"""
        return self._of(name).lets_through(now)

    def begin(self, name: str, call: str, now: float) -> "Trial":
        """This call opens a session of this model; whether it was let through is its own affair."""
        trial = Trial(self._of(name), call, lambda at: self._look(name, at))
        trial.begin(now)
        return trial

    def parts(self, now: float) -> dict[str, str]:
        """A word on each model, for the health pages."""
        return {f"model {name}": circuit.state(now).value for name, circuit in self._circuits.items()}

    def _of(self, name: str) -> Circuit:
        if name not in self._circuits:
            self._circuits[name] = Circuit()
            self._metrics.circuit_open.labels(name).set(0)
        return self._circuits[name]

    def _look(self, name: str, now: float) -> None:
        """Tell of a change, if there is one."""
        is_open = self._of(name).state(now) is not State.CLOSED
        if is_open == (name in self._open):
            return
        self._metrics.circuit_open.labels(name).set(is_open)
        if is_open:
            self._open.add(name)
            self._metrics.circuit_openings.labels(name).inc()
            log.warning("a model fails for everyone: calls pass it over", provider=name)
        else:
            self._open.remove(name)
            log.info("a model that failed for everyone is back", provider=name)


class Trial:
    """One session of one call, as its model's circuit sees it."""

    def __init__(self, circuit: Circuit, call: str, look: Callable[[float], None]) -> None:
        self._circuit = circuit
        self._call = call
        self._look = look
        self._spoke = False

    def begin(self, now: float) -> None:
        """It is being opened."""
        self._circuit.begin(self, now)

    def spoke(self, now: float) -> None:
        """It said something; only the first time tells anything."""
        if not self._spoke:
            self._spoke = True
            self._circuit.spoke(self._call, now)
            self._look(now)

    def ended(self, lost: ModelLost | None, lasted_s: float, now: float) -> None:
        """It is over, ``lasted_s`` after it was open; ``lost``: None where nobody wanted it any more."""
        of_this_call = lost is None or isinstance(lost, ModelBusy) or not lost.resumable
        if of_this_call or (self._spoke and lasted_s > START_S):
            self._circuit.left(self)
        else:
            self._circuit.failed(self, self._call, now)
        self._look(now)
