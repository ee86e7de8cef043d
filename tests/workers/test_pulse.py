"""Who is found to stand still, by the beats that came: played through second by second, in numbers."""

from collections.abc import Callable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.workers.link import BEAT_S
from engine.workers.pulse import LOOK_S, Patience, Pulse, Verdict

PATIENCE = Patience()
SERVED_S = 10.0  # all have served so long when something happens
STEP_S = 0.05

Spans = tuple[tuple[float, float], ...]


def within(spans: Spans) -> Callable[[float], bool]:
    return lambda now: any(since <= now < until for since, until in spans)


def killed_at(
    still: Mapping[str, Spans], until: float = SERVED_S + 20.0, *, parent: Spans = (), starting: str = ""
) -> dict[str, float]:
    """When each of these workers is found silent, by instants of the play.

    Args:
        still: of each worker, when its loop stands still.
        parent: when the supervisor's own does; what came meanwhile it reads when it goes on, after it has looked.
        starting: a worker that has not been ready yet.
    """
    pulse, found, unread = Pulse(PATIENCE), dict[str, float](), set(still)
    for step in range(round(until / STEP_S)):
        now = step * STEP_S
        if step % round(BEAT_S / STEP_S) == 0:
            unread |= {worker for worker in still if not within(still[worker])(now)}
        if step and within(parent)(now):
            continue
        if step % round(LOOK_S / STEP_S) == 0:
            pulse.look(now)
            for worker in still.keys() - found.keys() if step else ():
                if pulse.verdict(worker) is Verdict.SILENT:
                    found[worker] = now
                    pulse.forget(worker)
        for worker in unread - found.keys():
            pulse.beat(worker, ready=worker != starting)
        unread.clear()
    return found


FOR_EVER = ((SERVED_S, 1e9),)


def test_one_that_stands_still_beside_others_is_found_within_two_seconds() -> None:
    found = killed_at({"a": FOR_EVER, "b": ()})
    assert found == {"a": pytest.approx(SERVED_S + PATIENCE.silent_s, abs=BEAT_S + LOOK_S)}


def test_nobody_is_killed_for_a_stall_of_the_whole_machine() -> None:
    stall = ((SERVED_S, SERVED_S + 4.0),)
    assert killed_at(dict.fromkeys("abc", stall)) == {}


def test_nobody_is_killed_for_being_the_last_to_wake() -> None:
    still = {name: ((SERVED_S, SERVED_S + 3.0 + 0.25 * at),) for at, name in enumerate("abcd")}
    assert killed_at(still) == {}


def test_whoever_does_not_wake_with_the_others_is_found_soon_after() -> None:
    stall = ((SERVED_S, SERVED_S + 3.0),)
    found = killed_at({"a": FOR_EVER, "b": stall, "c": stall})
    assert found == {"a": pytest.approx(SERVED_S + 4.0, abs=BEAT_S + LOOK_S)}


@pytest.mark.parametrize("names", ["a", "ab", "abc"])
def test_where_nobody_is_well_they_are_waited_for_longer_not_for_ever(names: str) -> None:
    found = killed_at(dict.fromkeys(names, FOR_EVER))
    assert found == {
        name: pytest.approx(SERVED_S + PATIENCE.silent_together_s, abs=BEAT_S + LOOK_S + 0.01) for name in names
    }


def test_two_of_three_may_not_be_killed_at_the_word_of_the_third() -> None:
    found = killed_at({"a": FOR_EVER, "b": FOR_EVER, "c": ()}, until=SERVED_S + 4.5)
    assert found == {}


def test_what_the_supervisor_slept_through_is_nobodys_silence() -> None:
    asleep = ((SERVED_S, SERVED_S + 60.0),)
    assert killed_at({"a": (), "b": ()}, SERVED_S + 70.0, parent=asleep) == {}


def test_a_supervisor_that_is_late_again_and_again_is_slower_to_judge() -> None:
    busy = tuple((SERVED_S + at * 0.5, SERVED_S + at * 0.5 + 0.45) for at in range(20))
    assert killed_at({"a": FOR_EVER, "b": ()}, SERVED_S + 3.0, parent=busy) == {}
    assert set(killed_at({"a": FOR_EVER, "b": ()}, SERVED_S + 12.0, parent=busy)) == {"a"}


def test_one_that_is_starting_is_neither_hurried_nor_asked_for_its_word() -> None:
    found = killed_at({"a": FOR_EVER, "b": FOR_EVER}, SERVED_S + 4.5, starting="b")
    assert found == {}
    assert set(killed_at({"a": FOR_EVER, "b": FOR_EVER}, SERVED_S + 55.0, starting="b")) == {"a"}


def test_a_doubtful_one_is_asked_what_it_does_before_it_is_killed() -> None:
    pulse = Pulse(PATIENCE)
    pulse.look(0.0)
    for name in ("a", "b"):
        pulse.beat(name, ready=True)
    seen = []
    for step in range(1, 25):
        pulse.look(step * LOOK_S)
        pulse.beat("b", ready=True)
        seen.append(pulse.verdict("a"))
    assert sorted(set(seen), key=seen.index) == [Verdict.WELL, Verdict.DOUBTFUL, Verdict.SILENT]
    pulse.beat("a", ready=True)
    assert pulse.verdict("a") is Verdict.WELL


stalls = st.lists(st.tuples(st.floats(0, 12), st.floats(0, PATIENCE.silent_s - 2 * BEAT_S - 2 * LOOK_S)), max_size=4)


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from("abcd"), stalls, min_size=1), stalls)
def test_nobody_is_killed_who_never_stood_still_for_long(
    workers: dict[str, list[tuple[float, float]]], parent: list[tuple[float, float]]
) -> None:
    def apart(found: list[tuple[float, float]]) -> Spans:
        spans: list[tuple[float, float]] = []
        for wanted, length in sorted(found):
            since = max(wanted, spans[-1][1] + 3 * BEAT_S if spans else wanted)
            spans.append((since, since + length))
        return tuple(spans)

    assert killed_at({name: apart(found) for name, found in workers.items()}, 25.0, parent=apart(parent)) == {}
