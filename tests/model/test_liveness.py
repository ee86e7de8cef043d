"""Healthy, slow or lost, by virtual instants alone."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from engine.model.liveness import Healthy, Liveness, Lost, Slow


def liveness() -> Liveness:
    return Liveness(filler_after_s=1.5, stall_after_s=4.0)


def stalled(judged: Liveness, now: float) -> bool:
    verdict = judged.verdict(now)
    return isinstance(verdict, Lost) and verdict.kind == "stalled"


def test_a_model_that_was_asked_nothing_owes_nothing() -> None:
    judged = liveness()
    assert judged.verdict(1e6) == Healthy()
    assert judged.next_deadline(1e6) is None


def test_an_unanswered_turn_is_first_slow_and_then_stalled() -> None:
    judged = liveness()
    judged.committed(10.0)
    assert judged.verdict(11.4) == Healthy()
    assert judged.next_deadline(11.4) == 11.5
    assert judged.verdict(11.5) == Slow(10.0, company=1, asks=0)
    assert judged.verdict(13.9) == Slow(10.0, company=2, asks=2)
    assert judged.next_deadline(13.9) == 14.0
    assert stalled(judged, 14.0)


def test_the_model_is_asked_twice_again_before_it_is_given_up() -> None:
    judged = Liveness(filler_after_s=0.9, stall_after_s=5.0)
    judged.committed(0.0)
    steps = []
    now: float | None = 0.0
    while now is not None and now < 5.0:
        now = judged.next_deadline(now)
        assert now is not None
        steps.append((round(now, 2), judged.verdict(now)))
    company_and_asks = [(at, verdict.company, verdict.asks) for at, verdict in steps if isinstance(verdict, Slow)]
    assert company_and_asks == [(0.9, 1, 0), (2.27, 1, 1), (2.7, 2, 1), (3.77, 2, 2), (4.5, 3, 2)]


def test_a_response_that_hangs_needs_company_and_is_not_asked_for_again() -> None:
    judged = liveness()
    judged.committed(0.0)
    judged.sound(1.0)
    judged.sound(2.0)
    assert judged.next_deadline(2.0) == 3.5
    assert judged.verdict(5.9) == Slow(2.0, company=2, asks=0)
    assert stalled(judged, 6.0)


def test_the_rest_of_an_answer_that_was_broken_off_is_asked_for_soon() -> None:
    judged = liveness()
    judged.committed(0.0)
    judged.sound(1.0)
    judged.interrupted()
    judged.broken_off(2.0)
    assert judged.next_deadline(2.0) == 2.1
    assert judged.verdict(2.1) == Slow(2.0, company=0, asks=1)
    assert stalled(judged, 6.0)


def test_while_the_caller_has_the_turn_neither_sound_nor_results_make_a_debt() -> None:
    judged = liveness()
    judged.tool_pending("a")
    judged.turn_opened()
    judged.sound(1.0)
    judged.tool_answered("a", 2.0)
    assert judged.verdict(60.0) == Healthy()
    assert judged.next_deadline(60.0) is None
    judged.committed(60.0)
    assert stalled(judged, 64.0)


def test_after_all_was_generated_nothing_is_owed_and_late_pieces_start_no_new_debt() -> None:
    judged = liveness()
    judged.committed(0.0)
    judged.sound(1.0)
    judged.generation_complete()
    judged.sound(1.1)
    assert judged.verdict(60.0) == Healthy()
    judged.turn_complete()
    judged.sound(60.0)  # unasked, but begun: its rest is owed
    assert stalled(judged, 64.0)


def test_an_empty_turn_pays_the_answer() -> None:
    judged = liveness()
    judged.committed(0.0)
    judged.turn_complete()
    assert judged.verdict(9.0) == Healthy()


def test_a_caller_who_speaks_again_ends_every_debt() -> None:
    judged = liveness()
    judged.committed(0.0)
    judged.turn_opened()
    assert judged.verdict(100.0) == Healthy()
    judged.committed(100.0)
    judged.sound(100.5)
    judged.turn_opened()
    assert judged.verdict(200.0) == Healthy()


def test_an_interruption_told_late_does_not_pay_the_new_answer() -> None:
    judged = liveness()
    judged.committed(0.0)
    judged.interrupted()
    judged.generation_complete()
    assert stalled(judged, 4.0)


def test_while_a_tool_runs_nothing_is_owed_and_its_result_asks_anew() -> None:
    judged = liveness()
    judged.committed(0.0)
    judged.tool_pending("a")
    judged.tool_pending("b")
    assert judged.verdict(30.0) == Healthy()
    judged.tool_answered("a", 30.0)
    assert judged.verdict(40.0) == Healthy()
    assert judged.next_deadline(40.0) is None
    judged.tool_answered("b", 40.0)
    assert judged.verdict(41.5) == Slow(40.0, company=1, asks=0)
    assert stalled(judged, 44.0)


def test_what_was_waited_for_a_quick_tool_counts_for_the_first_company() -> None:
    judged = liveness()
    judged.committed(0.0)
    judged.tool_pending("a")
    judged.tool_answered("a", 0.6)
    assert judged.next_deadline(0.6) == 1.5
    assert judged.verdict(1.5) == Slow(0.6, company=1, asks=0)
    judged.committed(10.0)
    judged.tool_pending("b")
    judged.tool_answered("b", 11.4)
    assert judged.next_deadline(11.4) == 11.9, "a model that is well is given half a second"


def test_a_cancelled_or_unknown_call_asks_for_nothing() -> None:
    judged = liveness()
    judged.tool_pending("a")
    judged.tools_cancelled(("a",))
    judged.tool_answered("a", 1.0)
    judged.tool_answered("never heard of", 1.0)
    assert judged.verdict(100.0) == Healthy()


def test_five_unusable_messages_within_ten_seconds_are_garbled() -> None:
    judged = liveness()
    for at in (0.0, 1.0, 2.0, 3.0):
        judged.nonsense(at)
    assert judged.verdict(3.0) == Healthy()
    judged.nonsense(10.0)
    verdict = judged.verdict(10.0)
    assert isinstance(verdict, Lost)
    assert verdict.kind == "garbled"


def test_unusable_messages_far_apart_are_tolerated() -> None:
    judged = liveness()
    for at in range(50):
        judged.nonsense(at * 2.6)
        assert judged.verdict(at * 2.6) == Healthy()


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["commit", "open", "sound", "all", "done", "stop", "off", "tool", "result", "cancel"]),
        st.floats(0.0, 3.0),
    ),
    max_size=30,
)


def apply(judged: Liveness, step: str, now: float) -> None:
    steps: dict[str, Callable[[], object]] = {
        "commit": lambda: judged.committed(now),
        "open": judged.turn_opened,
        "sound": lambda: judged.sound(now),
        "all": judged.generation_complete,
        "done": judged.turn_complete,
        "stop": judged.interrupted,
        "off": lambda: judged.broken_off(now),
        "tool": lambda: judged.tool_pending("t"),
        "result": lambda: judged.tool_answered("t", now),
        "cancel": lambda: judged.tools_cancelled(("t",)),
    }
    steps[step]()


@given(STEPS)
def test_the_next_deadline_is_when_the_verdict_gets_worse_and_never_before(steps: list[tuple[str, float]]) -> None:
    judged, now = liveness(), 0.0
    for step, pause in steps:
        now += pause
        apply(judged, step, now)
        before, deadline = judged.verdict(now), judged.next_deadline(now)
        if isinstance(before, Lost):
            continue
        if deadline is None:
            assert judged.verdict(now + 1e6) == before == Healthy()
        else:
            assert deadline > now
            assert judged.verdict((now + deadline) / 2) == before
            assert judged.verdict(deadline) != before
