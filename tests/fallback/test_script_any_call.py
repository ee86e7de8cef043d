"""The script's table, walked by Hypothesis along every path."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine.fallback.script import (
    Action,
    CallerPaused,
    CallerSpoke,
    Event,
    Key,
    Played,
    Say,
    Script,
    StartRecording,
    StopRecording,
    StopSaying,
    SuccessorReady,
    TimePassed,
)
from engine.fallback.steps import ENDS, Line, Opening, State


class AnyCall(RuleBasedStateMachine):
    """Whatever line and caller do: never stuck, never silent without a reason, never rude, always over in the end."""

    @initialize(
        opening=st.sampled_from(Opening),
        person=st.booleans(),
        successor=st.booleans(),
        lengths=st.lists(st.sampled_from([0.3, 2.0, 30.0]), min_size=len(Line), max_size=len(Line)),
        blank=st.sets(st.sampled_from([Line.BACK, Line.OFFER_PERSON])),
    )
    def begin(self, opening: Opening, person: bool, successor: bool, lengths: list[float], blank: set[Line]) -> None:
        seconds = dict(zip(Line, lengths, strict=True)) | dict.fromkeys(blank, 0.0)
        self.script = Script(
            opening, seconds=lambda say: seconds[say.line], company=2, person=person, successor=successor
        )
        self.person = person
        self.seconds = seconds
        self.now = 0.0
        self.out: Say | None = None
        self.recording = False
        self.caller_speaks = False
        self.spoke_at = self.quiet_since = 0.0
        self.said: list[Line] = []
        self.take(self.script.begin(self.now), key=False)

    def take(self, actions: list[Action], *, key: bool) -> None:
        for action in actions:
            match action:
                case Say():
                    assert self.out is None, "one line at a time"
                    assert not self.recording, "nothing is said into a message"
                    assert self.seconds[action.line] > 0
                    assert action.variant < 2
                    self.out = action
                    self.said.append(action.line)
                case StopSaying():
                    assert key, "only a key cuts a sentence"
                    assert self.out is not None
                    self.fell_silent()
                case StartRecording():
                    assert not self.recording
                    self.recording = True
                case StopRecording():
                    assert self.recording
                    self.recording = False
                    self.quiet_since = self.now

    def fell_silent(self) -> None:
        self.out = None
        self.quiet_since = self.now

    def tell(self, event: Event) -> None:
        self.take(self.script.advance(event, self.now), key=isinstance(event, Key))

    @property
    def over(self) -> bool:
        return self.script.state in ENDS

    @precondition(lambda self: self.out is not None)
    @rule()
    def line_is_heard(self) -> None:
        assert self.out is not None
        self.now += self.seconds[self.out.line]
        self.fell_silent()
        self.tell(Played())

    @precondition(lambda self: not self.over)
    @rule()
    def deadline_passes(self) -> None:
        deadline = self.script.next_deadline()
        assert deadline is not None
        self.now = max(self.now, deadline)
        if self.out is not None:
            self.fell_silent()
        before = (self.script.state, len(self.said), self.script.next_deadline())
        self.tell(TimePassed())
        assert (self.script.state, len(self.said), self.script.next_deadline()) != before, (
            "a deadline changes something"
        )

    @precondition(lambda self: not self.over)
    @rule(share=st.sampled_from([0.1, 0.5, 0.9]))
    def time_passes(self, share: float) -> None:
        deadline = self.script.next_deadline()
        assert deadline is not None
        if deadline - self.now < 0.001:
            return  # that is the deadline itself
        self.now += (deadline - self.now) * share
        before = (self.script.state, len(self.said))
        self.tell(TimePassed())
        assert (self.script.state, len(self.said)) == before, "nothing happens before its time"

    @rule()
    def caller_speaks_up(self) -> None:
        if not self.caller_speaks:
            self.spoke_at = self.now
        self.caller_speaks = True
        self.tell(CallerSpoke())

    @rule()
    def caller_pauses(self) -> None:
        self.caller_speaks = False
        self.quiet_since = self.now
        self.tell(CallerPaused())
        if not self.over and self.out is None and not self.recording:
            deadline = self.script.next_deadline()
            assert deadline is not None
            assert deadline - self.now <= 0.3 + 1e-6, "what was said into a pause is answered soon"

    @rule(digit=st.sampled_from("0123456789*#ABCD"))
    def caller_presses(self, digit: str) -> None:
        self.tell(Key(digit))

    @rule()
    def successor_is_ready(self) -> None:
        self.tell(SuccessorReady())

    @rule()
    def stray_mark(self) -> None:
        if self.out is None:
            self.tell(Played())

    @invariant()
    def never_stuck(self) -> None:
        assert (self.script.next_deadline() is None) is self.over

    @invariant()
    def never_silent_without_a_reason(self) -> None:
        if self.over or self.out is not None or self.recording:
            return
        deadline = self.script.next_deadline()
        assert deadline is not None
        if self.caller_speaks:
            assert deadline - max(self.spoke_at, self.quiet_since) <= 15.0 + 1e-6
        else:
            assert deadline - self.quiet_since <= 4.0 + 1e-6

    @invariant()
    def recording_is_the_state(self) -> None:
        assert self.recording is (self.script.state is State.RECORDING)

    @invariant()
    def nothing_is_out_at_the_end(self) -> None:
        assert not (self.over and (self.out or self.recording))

    @invariant()
    def back_is_said_to_those_alone_who_waited(self) -> None:
        if Line.BACK in self.said:
            assert {Line.COMPANY, Line.OFFER} & set(self.said)

    @invariant()
    def person_only_where_there_is_one(self) -> None:
        assert self.person or not {Line.OFFER_PERSON, Line.CONNECTING} & set(self.said)

    def teardown(self) -> None:
        if not hasattr(self, "script"):
            return
        for _ in range(40):
            if self.over:
                return
            self.deadline_passes()
        raise AssertionError(f"not over after 40 deadlines, in {self.script.state}")


AnyCall.TestCase.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
TestAnyCall = AnyCall.TestCase
