"""A model that fails for everyone is passed over, and found again; one call's bad luck is its own."""

import math
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine.call.circuits import CALLS, PAUSES_S, START_S, TRY_S, WINDOW_S, Circuit, Circuits, State, Trial
from engine.errors import ModelBusy, ModelClosed, ModelLost, ModelRefused
from engine.metrics import Metrics

REFUSED = ModelRefused("no")


def opened(calls: int = CALLS, at: float = 0.0) -> Circuit:
    circuit = Circuit()
    for number in range(calls):
        circuit.failed(object(), f"CA{number}", at)
    return circuit


def test_as_many_calls_as_it_takes_open_it() -> None:
    assert opened(CALLS - 1).state(0.0) is State.CLOSED
    assert opened(CALLS).state(0.0) is State.OPEN


def test_one_call_opens_nothing_however_often_it_fails() -> None:
    circuit = Circuit()
    for _ in range(10 * CALLS):
        circuit.failed(object(), "CA1", 0.0)
    assert circuit.lets_through(0.0)


def test_what_is_long_ago_does_not_count() -> None:
    circuit = opened(CALLS - 1)
    circuit.failed(object(), "CA-late", WINDOW_S)
    assert circuit.state(WINDOW_S) is State.CLOSED


def test_calls_that_it_serves_weigh_against_those_that_it_fails() -> None:
    circuit = Circuit()
    for number in range(CALLS):
        circuit.spoke(f"CA-well{number}", 0.0)
    for number in range(CALLS):
        circuit.failed(object(), f"CA{number}", 0.0)
    assert circuit.state(0.0) is State.CLOSED, "as many as it fails"
    circuit.failed(object(), "CA-more", 0.0)
    assert circuit.state(0.0) is State.OPEN


def test_a_call_that_it_serves_after_all_has_not_failed() -> None:
    circuit = opened(CALLS - 1)
    circuit.spoke("CA0", 0.0)
    circuit.failed(object(), "CA-one", 0.0)
    assert circuit.state(0.0) is State.CLOSED


def test_after_its_pause_one_may_try_and_nobody_else_meanwhile() -> None:
    circuit, first = opened(), object()
    assert not circuit.lets_through(PAUSES_S[0] - 0.01)
    assert circuit.lets_through(PAUSES_S[0])
    circuit.begin(first, PAUSES_S[0])
    assert circuit.state(PAUSES_S[0]) is State.TRIED
    assert not circuit.lets_through(PAUSES_S[0] + TRY_S - 0.01)
    assert circuit.lets_through(PAUSES_S[0] + TRY_S), "whoever tries may not keep the others away for ever"


def test_whoever_tries_and_leaves_makes_room_for_the_next() -> None:
    circuit, first = opened(), object()
    circuit.begin(first, PAUSES_S[0])
    circuit.left(object())
    assert not circuit.lets_through(PAUSES_S[0])
    circuit.left(first)
    assert circuit.lets_through(PAUSES_S[0])


def test_it_closes_when_it_speaks_and_has_a_clean_slate() -> None:
    circuit, first = opened(), object()
    circuit.begin(first, PAUSES_S[0])
    circuit.spoke("CA9", PAUSES_S[0] + 1)
    assert circuit.state(PAUSES_S[0] + 1) is State.CLOSED
    for number in range(CALLS - 1):
        circuit.failed(object(), f"CA{number}", PAUSES_S[0] + 1)
    assert circuit.state(PAUSES_S[0] + 1) is State.CLOSED


def test_each_try_that_fails_makes_the_next_pause_longer_up_to_the_longest() -> None:
    circuit, now = opened(), 0.0
    for pause_s in (*PAUSES_S, PAUSES_S[-1]):
        assert not circuit.lets_through(now + pause_s - 0.01)
        now += pause_s
        session = object()
        circuit.begin(session, now)
        circuit.failed(session, "CA-try", now)
        assert circuit.state(now) is State.OPEN


def test_calls_that_ask_it_all_the_same_do_not_make_its_pause_longer() -> None:
    circuit = opened()
    for number in range(20):
        session = object()
        circuit.begin(session, 1.0)
        circuit.failed(session, f"CA-all-the-same{number}", 1.0)
    assert circuit.lets_through(PAUSES_S[0])


def test_one_who_asked_all_the_same_and_was_served_closes_it() -> None:
    circuit = opened()
    circuit.begin(object(), 1.0)
    circuit.spoke("CA9", 1.0)
    assert circuit.state(1.0) is State.CLOSED


# --- what a session's end says -----------------------------------------------------------------------------------


def trials(circuits: Circuits, lost: ModelLost | None, *, spoke: bool, lasted_s: float) -> None:
    for number in range(CALLS):
        trial = circuits.begin("one", f"CA{number}", 0.0)
        if spoke:
            trial.spoke(0.0)
        trial.ended(lost, lasted_s, 0.0)


@pytest.mark.parametrize(
    ("lost", "spoke", "lasted_s", "opens"),
    [
        (REFUSED, False, 0.0, True),
        (ModelClosed("gone"), False, 100.0, True),
        (ModelClosed("gone"), True, START_S, True),
        (ModelClosed("gone"), True, START_S + 0.1, False),
        (ModelBusy("full"), False, 0.0, False),
        (ModelRefused("not that handle", resumable=False), False, 0.0, False),
        (None, False, 0.0, False),
        (None, True, 100.0, False),
    ],
    ids=[
        "refused",
        "never spoke",
        "spoke, and ended at once",
        "served for a while",
        "busy",
        "will not have what we sent",
        "left before it spoke",
        "left",
    ],
)
def test_what_the_end_of_a_session_says(lost: ModelLost | None, spoke: bool, lasted_s: float, opens: bool) -> None:
    circuits = Circuits(Metrics(), ["one", "two"])
    trials(circuits, lost, spoke=spoke, lasted_s=lasted_s)
    assert circuits.lets_through("one", 0.0) is not opens
    assert circuits.lets_through("two", 0.0)


def test_a_change_is_counted_and_shown() -> None:
    metrics = Metrics()
    circuits = Circuits(metrics, ["one", "two"])

    def shown(name: str) -> tuple[float | None, float | None]:
        value = metrics.registry.get_sample_value
        labels = {"provider": name}
        return value("frontdesk_circuit_open", labels), value("frontdesk_circuit_openings_total", labels)

    assert shown("one") == (0.0, None)
    trials(circuits, REFUSED, spoke=False, lasted_s=0.0)
    trials(circuits, REFUSED, spoke=False, lasted_s=0.0)
    assert shown("one") == (1.0, 1.0), "told once, though it went on failing"
    assert shown("two") == (0.0, None)
    assert circuits.parts(0.0) == {"model one": "failing", "model two": "ok"}
    trial = circuits.begin("one", "CA9", PAUSES_S[0])
    assert circuits.parts(PAUSES_S[0]) == {"model one": "being tried", "model two": "ok"}
    trial.spoke(PAUSES_S[0])
    assert shown("one") == (0.0, 1.0)
    assert circuits.parts(PAUSES_S[0])["model one"] == "ok"


# --- whatever happens --------------------------------------------------------------------------------------------


@dataclass
class _Begun:
    call: str
    trial: Trial
    let_through: bool
    at: float
    spoke: bool = field(default=False)


class AnyCalls(RuleBasedStateMachine):
    """Sessions end in any way and order: the model is never passed over without reason, nor for ever."""

    @initialize()
    def begin(self) -> None:
        self.circuits = Circuits(Metrics(), ["one"])
        self.now = 0.0
        self.sessions: list[_Begun] = []
        self.failed_calls: set[str] = set()

    @rule(seconds=st.floats(0.0, 30.0))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(call=st.sampled_from(["CA1", "CA2", "CA3", "CA4", "CA5"]))
    def opens(self, call: str) -> None:
        let_through = self.circuits.lets_through("one", self.now)
        was_failing = not self.is_closed()
        trial = self.circuits.begin("one", call, self.now)
        self.sessions.append(_Begun(call, trial, let_through, self.now))
        if was_failing:
            assert not self.circuits.lets_through("one", self.now), "one at a time"

    @precondition(lambda self: self.sessions)
    @rule(index=st.integers(0, 100))
    def speaks(self, index: int) -> None:
        session = self.sessions[index % len(self.sessions)]
        first, session.spoke = not session.spoke, True
        session.trial.spoke(self.now)
        if first:
            assert self.is_closed(), "it is there"
            self.failed_calls.discard(session.call)

    @precondition(lambda self: self.sessions)
    @rule(index=st.integers(0, 100), lost=st.sampled_from([None, REFUSED, ModelBusy("full")]))
    def ends(self, index: int, lost: ModelLost | None) -> None:
        session = self.sessions.pop(index % len(self.sessions))
        was_closed = self.is_closed()
        session.trial.ended(lost, self.now - session.at, self.now)
        if lost is REFUSED:
            self.failed_calls.add(session.call)
        elif was_closed:
            assert self.is_closed(), "that is nobody's fault"

    @invariant()
    def is_not_passed_over_for_one_calls_bad_luck(self) -> None:
        if len(self.failed_calls) < CALLS:
            assert self.is_closed()

    @invariant()
    def is_found_again(self) -> None:
        assert self.circuits.lets_through("one", self.now + max(PAUSES_S[-1], TRY_S))

    def is_closed(self) -> bool:
        return self.circuits.parts(self.now) == {"model one": State.CLOSED.value}


TestAnyCalls = AnyCalls.TestCase
TestAnyCalls.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.floats(0.0, 40.0)), max_size=60))
def test_what_is_remembered_is_what_was_told_lately(told: list[tuple[int, bool, float]]) -> None:
    circuit, now, latest = Circuit(), 0.0, dict[str, tuple[float, bool]]()
    for call, failed, later_s in told:
        now += later_s
        name = f"CA{call}"
        if failed:
            circuit.failed(object(), name, now)
        else:
            if circuit.state(now) is not State.CLOSED:
                latest.clear()
            circuit.spoke(name, now)
        latest.pop(name, None)
        latest[name] = now, failed
    lately = {name: one for name, one in latest.items() if one[0] > now - WINDOW_S}
    assert dict(circuit._calls) == lately
    for failed in (True, False):
        assert circuit._count[failed] == sum(one[1] is failed for one in lately.values())
    assert circuit.state(math.inf) in {State.CLOSED, State.DUE}
