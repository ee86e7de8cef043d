"""The pacer against a carrier that plays byte by byte, under Hypothesis: each byte played, cut or refused, in order.

After a pause some bytes are played again: how many, the test says, and it walks through what was played accordingly.
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine.audio.pacer import CutHow, CutReport, Pacer, Played
from tests.audio.carrier import Carrier

STEP_MS = 5
SIZES = st.one_of(st.integers(1, 400), st.sampled_from([160, 320, 800, 1600, 9600]))


def audio(generation: int, start: int, size: int) -> bytes:
    """Bytes that tell whose they are (of 51 generations) and, modulo 5, which; never silence."""
    return bytes(5 * generation + (start + i) % 5 for i in range(size))


class PacerMachine(RuleBasedStateMachine):
    """Time goes in steps of 5 ms; the pacer is asked every 20 ms, as on the media plane."""

    def __init__(self) -> None:
        super().__init__()
        self.ms = 7000
        self.carrier = Carrier()
        self.generation = 0
        self.accepted: dict[int, int] = {}
        self.opened: set[int] = set()
        self.closed: set[int] = set()  # ended, cut or overtaken: further audio is stale
        self.played: dict[int, float] = {}
        self.reports: dict[int, CutReport] = {}
        self.frozen: dict[int, int] = {}  # generation cut now -> what had been played of it
        self.cut_through = -1
        self.refused = self.stale = 0
        self.paused_at: int | None = None  # how much had been played when it fell silent
        self.again = 0  # bytes to say again at the next resume
        self.steps_back: dict[int, int] = {}  # bytes played when it went on -> bytes said again from there
        self.farthest: dict[int, int] = {}  # per generation

    @initialize(lead=st.sampled_from([60, 200, 400]), quantum=st.sampled_from([20, 100]))
    def begin(self, lead: int, quantum: int) -> None:
        self.lead = lead
        self.pacer = Pacer(
            lead_ms=lead, quantum_ms=quantum, backlog_ms=2000, step_back=lambda heard: min(len(heard), self.again)
        )

    @property
    def now(self) -> float:
        return self.ms / 1000

    def heard(self, generation: int) -> int:
        self.order_holds_and_nothing_is_skipped()
        return self.farthest.get(generation, 0)

    def ask(self) -> None:
        deadline = self.pacer.next_deadline()
        sends = self.pacer.due(self.now)
        assert bool(sends) == (deadline is not None and deadline <= self.now + 1e-9)
        for send in sends:
            self.carrier.receive(send)
        assert self.carrier.unplayed <= 8 * self.lead
        self.hear_marks()
        after = self.pacer.next_deadline()
        assert after is None or after > self.now

    def hear_marks(self) -> None:
        for name in self.carrier.take_echoes():
            event = self.pacer.on_mark(name, self.now)
            if event is not None:
                assert isinstance(event, Played)
                assert event.generation not in self.played
                assert self.heard(event.generation) == self.accepted[event.generation] == event.heard_ms * 8
                self.played[event.generation] = event.heard_ms

    @rule(size=SIZES)
    def push(self, size: int) -> None:
        generation, start = self.generation, self.accepted.get(self.generation, 0)
        refused = self.pacer.push(generation, audio(generation, start, size), self.now)
        if generation in self.closed:
            assert refused == 0
            self.stale += size
            return
        self.opened.add(generation)
        self.refused += refused
        self.accepted[generation] = start + size - refused

    @precondition(lambda self: self.generation < 40)
    @rule()
    def next_generation(self) -> None:
        self.closed.add(self.generation)
        self.generation += 1
        self.pacer.end(self.generation)
        self.opened.add(self.generation)
        self.accepted[self.generation] = 0
        self.closed.add(self.generation)
        self.generation += 1

    @precondition(lambda self: self.generation < 40)
    @rule()
    def overtake(self) -> None:
        """A newer generation begins though the older never ended."""
        if self.generation in self.opened:
            self.closed.add(self.generation)
            self.generation += 1
            self.push(160)

    @rule()
    def end(self) -> None:
        self.pacer.end(self.generation)
        if self.generation not in self.closed:
            self.opened.add(self.generation)
            self.accepted.setdefault(self.generation, 0)
            self.closed.add(self.generation)

    @rule(back=st.integers(1, 3), size=SIZES)
    def push_to_an_older_generation(self, back: int, size: int) -> None:
        older = self.generation - back
        if older >= 0:
            assert self.pacer.push(older, audio(older, 0, size), self.now) == (0 if older in self.closed else size)
            self.stale += size

    @precondition(lambda self: self.generation < 50)
    @rule(how=st.sampled_from(CutHow), back=st.sampled_from([0, 0, 1, 2]))
    def cut(self, how: CutHow, back: int) -> None:
        through = self.generation - back
        self.cut_through = max(self.cut_through, through)
        for report in self.pacer.cut(through, how, self.now):
            assert report.generation <= self.cut_through
            assert report.generation not in self.reports
            assert report.generation not in self.played
            assert report.queued_ms * 8 == self.accepted[report.generation]
            if how is CutHow.NOW:
                assert report.heard_ms * 8 == self.heard(report.generation)
            self.reports[report.generation] = report
        self.paused_at = None
        self.closed |= set(range(through + 1))
        if through == self.generation:
            self.generation += 1
        if how is CutHow.NOW:
            self.frozen.update({g: self.heard(g) for g in range(self.cut_through + 1)})
            self.ask()

    @rule()
    def pause(self) -> None:
        ahead_ms = self.pacer.ahead_ms(self.now)
        paused = self.pacer.pause(self.now)
        assert not paused or (ahead_ms > 0 and self.paused_at is None)
        assert paused or self.paused_at is not None or ahead_ms < 20, "more than what fills a last frame"
        if paused:
            self.ask()
            self.paused_at = len(self.carrier.played)
            assert self.carrier.unplayed == 0

    @rule(again=st.sampled_from([0, 80, 800, 2000, 5000]))
    def resume(self, again: int) -> None:
        self.again = again
        stepped_back = self.pacer.resume(self.now) * 8
        assert stepped_back <= min(again, 2000)
        assert not stepped_back or self.paused_at is not None
        if stepped_back:
            self.steps_back[len(self.carrier.played)] = int(stepped_back)
        self.paused_at = None
        self.ask()

    @precondition(lambda self: self.generation < 40)
    @rule(sizes=st.lists(st.sampled_from([60, 160, 480, 1000]), min_size=2, max_size=4))
    def short_utterances(self, sizes: list[int]) -> None:
        """Several generations may then lie at the carrier at once."""
        for size in sizes:
            self.end()
            self.generation += self.generation in self.closed
            self.push(size)
        self.ask()

    @rule(how=st.sampled_from(CutHow))
    def cut_only_what_is_heard_now(self, how: CutHow) -> None:
        unheard = self.opened - set(self.played) - set(self.reports)
        if unheard:
            self.cut(how, self.generation - min(unheard))

    @rule(steps=st.integers(1, 60))
    def wait(self, steps: int) -> None:
        for _ in range(steps):
            self.carrier.play(STEP_MS)
            self.ms += STEP_MS
            self.hear_marks()
            if self.ms % 20 == 0:
                self.ask()

    @invariant()
    def order_holds_and_nothing_is_skipped(self) -> None:
        expected: dict[int, int] = {}
        last = -1
        for offset, byte in enumerate(self.carrier.played):
            if offset in self.steps_back:
                expected[last] -= self.steps_back[offset]
            if byte == 255:
                continue
            generation, index = divmod(byte, 5)
            assert index == expected.get(generation, 0) % 5
            expected[generation] = expected.get(generation, 0) + 1
            self.farthest[generation] = max(self.farthest.get(generation, 0), expected[generation])
            assert generation >= last
            last = generation

    @invariant()
    def a_pause_is_silent_and_keeps_the_floor(self) -> None:
        if self.paused_at is not None:
            assert len(self.carrier.played) == self.paused_at
            assert self.pacer.ahead_ms(self.now) > 0
            assert self.pacer.next_deadline() is None

    @invariant()
    def nothing_of_a_cut_generation_is_heard_after_the_cut(self) -> None:
        assert all(self.heard(generation) == heard for generation, heard in self.frozen.items())

    @invariant()
    def figures_agree(self) -> None:
        if self.ms == 7000 and not self.opened:
            return
        seen = self.pacer.statistics()
        assert seen.refused_ms * 8 == self.refused
        assert seen.stale_ms * 8 == self.stale
        assert self.pacer.head_ms(self.now) * 8 == len(self.carrier.played)
        assert seen.sent_ms * 8 == len(self.carrier.played) + self.carrier.unplayed + seen.cleared_ms * 8

    def teardown(self) -> None:
        if not hasattr(self, "pacer"):
            return
        self.end()
        self.resume(0)
        while self.carrier.queue or self.pacer.next_deadline() is not None:
            self.wait(4)
        for generation in self.opened:
            events = (generation in self.played) + (generation in self.reports)
            assert events == (1 if self.accepted[generation] else events)
            assert events <= 1
            if generation in self.reports and generation not in self.frozen:
                assert self.heard(generation) == self.reports[generation].heard_ms * 8
        cut = sum(report.queued_ms - report.heard_ms for report in self.reports.values())
        assert self.pacer.statistics().cut_ms == cut
        assert self.pacer.statistics().backlog_ms == 0
        assert self.pacer.statistics().marks_waiting == 0


PacerMachine.TestCase.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
TestPacer = PacerMachine.TestCase
