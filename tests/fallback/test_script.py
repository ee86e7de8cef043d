"""The script's table, walked by hand: the tables themselves, company, the successor, a line that fails."""

import pytest

from engine.fallback.script import (
    CallerPaused,
    CallerSpoke,
    Event,
    Key,
    Patience,
    Played,
    Say,
    StopRecording,
    StopSaying,
    SuccessorReady,
    TimePassed,
)
from engine.fallback.steps import ENDS, GUARD_S, LINES, LISTEN, MOVES, TRIES, Cause, Line, Opening, State
from tests.fallback.walk import LINE_S, Walk, at_offer, at_recording

# --- the tables --------------------------------------------------------------------------------------------------


def test_every_state_has_its_rows_and_can_be_reached() -> None:
    living = set(State) - ENDS
    assert set(MOVES) == set(LINES) == living
    assert set(LISTEN) <= living
    assert set(TRIES) <= living
    reachable = {opening.value for opening in Opening}
    for _ in State:
        reachable |= {target for state in reachable & living for target in MOVES[state].values()}
    assert reachable == set(State)
    assert all(Cause.SAID in row for row in MOVES.values())


def test_only_a_message_a_person_and_a_goodbye_are_not_given_up_for_a_successor() -> None:
    firm = {state for state, row in MOVES.items() if Cause.READY not in row}
    assert firm == {State.PERSON, State.GOODBYE, State.BACK}
    assert {state for state, row in MOVES.items() if row.get(Cause.READY) is State.HANDED_BACK} == {State.KEPT}


# --- opening and company -----------------------------------------------------------------------------------------


def test_lost_model_is_apologised_for_and_company_kept_until_patience_is_over() -> None:
    walk = Walk().wait(0)
    assert walk.said == ["apology"]
    walk.play().wait(3.4)
    assert walk.said == ["apology"]
    walk.wait(0.1)
    assert walk.done[-1] == Say(Line.COMPANY, 0)
    walk.play().wait(3.5)
    assert walk.said == ["apology", "company", "offer"]  # 11 s have passed: over nine


def test_company_lines_take_turns_and_two_are_enough() -> None:
    walk = Walk(patience=Patience(lines=3, seconds=1000))
    for _ in range(3):
        walk.play().wait(3.5)
    assert walk.done[1:] == [Say(Line.COMPANY, 0), Say(Line.COMPANY, 1), Say(Line.COMPANY, 0)]
    walk.play().wait(3.5)
    assert walk.is_at(State.OFFER)


def test_refused_model_means_greeting_then_a_company_line_without_a_pause() -> None:
    walk = Walk(Opening.GREET).play()
    assert walk.said == ["greeting", "company"]


@pytest.mark.parametrize("opening", list(Opening))
def test_caller_is_not_asked_to_wait_for_nobody(opening: Opening) -> None:
    walk = Walk(opening, successor=False).play()
    assert walk.said == [LINES[opening.value][0].value, "offer"]


def test_failed_transfer_is_said_and_then_something_else_offered() -> None:
    assert Walk(Opening.NO_PERSON).play().said == ["no_person", "offer"]


def test_caller_who_speaks_into_a_pause_is_answered_soon() -> None:
    walk = Walk().play().wait(3.0).on(CallerSpoke()).wait(5.0)
    assert walk.said == ["apology"]  # not talked into
    walk.on(CallerPaused()).wait(0.3)
    assert walk.said == ["apology", "company"]


def test_caller_who_never_stops_is_spoken_to_all_the_same() -> None:
    walk = Walk().play().on(CallerSpoke()).wait(15.0)
    assert walk.said == ["apology", "company"]


# --- the successor -----------------------------------------------------------------------------------------------


def test_successor_during_the_apology_takes_over_after_it_without_a_word() -> None:
    walk = Walk().on(SuccessorReady())
    assert walk.is_at(State.APOLOGISE)
    assert walk.play().is_at(State.HANDED_BACK)
    assert walk.done == [Say(Line.APOLOGY)]


def test_successor_in_the_pause_after_the_apology_takes_over_at_once() -> None:
    assert Walk().play().wait(1).on(SuccessorReady()).state is State.HANDED_BACK


def test_successor_after_a_company_line_is_preceded_by_thanks_for_waiting() -> None:
    walk = Walk().play().wait(3.5).on(SuccessorReady())
    assert walk.is_at(State.COMPANY)  # the sentence is finished
    walk.play().play()
    assert walk.said == ["apology", "company", "back"]
    assert walk.is_at(State.HANDED_BACK)


def test_successor_in_a_pause_of_company_ends_it_at_once() -> None:
    walk = Walk().play().wait(3.5).play().wait(0.1).on(SuccessorReady())
    assert walk.said[-1] == "back"


def test_successor_waits_for_a_caller_who_is_speaking() -> None:
    walk = Walk().play().wait(3.5).play().on(CallerSpoke(), SuccessorReady())
    assert walk.is_at(State.COMPANY)
    assert walk.on(CallerPaused()).wait(0.3).said[-1] == "back"


def test_successor_waits_for_a_caller_who_talks_over_the_line() -> None:
    walk = Walk().play().wait(3.5).on(CallerSpoke(), SuccessorReady()).play()
    assert walk.said[-1] == "company"
    assert walk.on(CallerPaused()).wait(0.3).said[-1] == "back"


def test_successor_between_offer_and_offer_of_a_person_drops_the_latter() -> None:
    walk = Walk(successor=False).play().on(SuccessorReady()).play()
    assert walk.said == ["apology", "offer", "back"]


def test_key_pressed_with_a_successor_waiting_leads_to_the_successor() -> None:
    walk = Walk(successor=False).play().on(SuccessorReady(), Key("1"))
    assert walk.done[-2:] == [StopSaying(), Say(Line.BACK)]


@pytest.mark.parametrize(("digit", "end"), [("2", State.WANTS_PERSON), ("9", State.SAID_GOODBYE)])
def test_person_and_goodbye_are_honoured_though_a_successor_is_ready(digit: str, end: State) -> None:
    walk = Walk(successor=False).play().on(SuccessorReady(), Key(digit), SuccessorReady()).play()
    assert walk.state is end


def test_successor_during_a_message_waits_until_it_is_kept() -> None:
    walk = at_recording().on(CallerSpoke(), SuccessorReady()).wait(10)
    assert walk.is_at(State.RECORDING)
    walk.on(CallerPaused()).wait(4)
    assert walk.done[-2:] == [StopRecording(keep=True), Say(Line.MESSAGE_KEPT)]
    assert walk.play().is_at(State.HANDED_BACK)


def test_successor_during_an_empty_message_takes_over() -> None:
    walk = at_recording().on(SuccessorReady()).wait(6)
    assert walk.done[-2:] == [StopRecording(keep=False), Say(Line.BACK)]


# --- what the line fails to do -----------------------------------------------------------------------------------


def test_line_whose_mark_never_comes_counts_as_heard() -> None:
    walk = Walk()
    walk.wait(LINE_S + GUARD_S + 3.5)
    assert walk.said == ["apology", "company"]


def test_mark_that_comes_while_nothing_is_out_means_nothing() -> None:
    walk = at_recording()
    assert walk.on(Played(), Played()).is_at(State.RECORDING)


def test_blank_line_is_left_out() -> None:
    walk = Walk(blank=frozenset({Line.BACK, Line.OFFER_PERSON}), successor=False).play()
    assert walk.play().wait(1).on(SuccessorReady()).is_at(State.HANDED_BACK)
    assert walk.said == ["apology", "offer"]


@pytest.mark.parametrize(
    "event", [Played(), TimePassed(), CallerSpoke(), CallerPaused(), Key("1"), SuccessorReady()], ids=repr
)
def test_nothing_happens_after_the_end(event: Event) -> None:
    walk = at_offer().on(Key("9")).play()
    before = list(walk.done)
    assert walk.on(event).wait(1000).done == before
    assert walk.script.next_deadline() is None


def test_script_left_alone_says_goodbye() -> None:
    walk = Walk().wait(600)
    assert walk.is_at(State.SAID_GOODBYE)
    assert walk.said.count("offer") == 2
    assert walk.said.count("message_prompt") == 2
