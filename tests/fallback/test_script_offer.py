"""The script's table, walked by hand: the offer and the message."""

import pytest

from engine.fallback.script import (
    CallerPaused,
    CallerSpoke,
    Key,
    Say,
    StartRecording,
    StopRecording,
    StopSaying,
)
from engine.fallback.steps import Line, State
from tests.fallback.walk import Walk, at_offer, at_recording

# --- the offer ---------------------------------------------------------------------------------------------------


def test_offer_names_a_person_only_where_there_is_one() -> None:
    assert at_offer().said == ["apology", "offer", "offer_person"]
    assert at_offer(person=False).said == ["apology", "offer"]


def test_offer_is_repeated_once_and_silence_then_means_a_message() -> None:
    walk = at_offer(person=False).wait(4)
    assert walk.said[-2:] == ["offer", "offer"]
    assert walk.play().wait(4).said[-1] == "message_prompt"


def test_speech_after_the_offer_means_a_message() -> None:
    walk = at_offer().on(CallerSpoke()).wait(2).on(CallerPaused()).wait(0.3)
    assert walk.said[-1] == "message_prompt"


def test_key_cuts_the_offer_short() -> None:
    walk = Walk(successor=False).play().on(Key("1"))
    assert walk.done[-2:] == [StopSaying(), Say(Line.MESSAGE_PROMPT)]


def test_key_two_means_a_person() -> None:
    walk = at_offer().on(Key("2"))
    assert walk.said[-1] == "connecting"
    assert walk.play().is_at(State.WANTS_PERSON)


def test_key_two_means_nothing_where_there_is_no_person() -> None:
    walk = at_offer(person=False)
    before = list(walk.done)
    assert walk.on(Key("2")).done == before


@pytest.mark.parametrize("digit", ["9", "#"])
def test_caller_who_has_enough_is_told_goodbye(digit: str) -> None:
    walk = at_offer().on(Key(digit))
    assert walk.said[-1] == "goodbye"
    assert walk.play().is_at(State.SAID_GOODBYE)


@pytest.mark.parametrize("digit", list("0345678*ABCD"))
def test_key_that_was_not_offered_means_nothing(digit: str) -> None:
    walk = at_offer()
    before = list(walk.done)
    assert walk.on(Key(digit)).done == before


# --- the message -------------------------------------------------------------------------------------------------


def test_message_is_asked_for_recorded_kept_and_thanked_for() -> None:
    walk = at_recording()
    assert walk.done[-3:] == [Say(Line.MESSAGE_PROMPT), Say(Line.TONE), StartRecording()]
    walk.wait(1).on(CallerSpoke()).wait(5).on(CallerPaused()).wait(3.9)
    assert walk.is_at(State.RECORDING)
    walk.wait(0.1)
    assert walk.done[-2:] == [StopRecording(keep=True), Say(Line.MESSAGE_KEPT)]
    assert walk.play(2).said[-2:] == ["message_kept", "goodbye"]
    assert walk.is_at(State.SAID_GOODBYE)


def test_key_during_the_message_prompt_leads_to_the_tone() -> None:
    walk = at_offer().on(Key("1"), Key("5"))
    assert walk.done[-3:] == [Say(Line.MESSAGE_PROMPT), StopSaying(), Say(Line.TONE)]


@pytest.mark.parametrize("digit", ["1", "#", "*"])
def test_any_key_completes_a_message(digit: str) -> None:
    walk = at_recording().on(CallerSpoke()).wait(3).on(Key(digit))
    assert walk.done[-2:] == [StopRecording(keep=True), Say(Line.MESSAGE_KEPT)]


def test_pause_within_a_message_is_borne() -> None:
    walk = at_recording()
    for _ in range(5):
        walk.on(CallerSpoke()).wait(2).on(CallerPaused()).wait(3)
    assert walk.is_at(State.RECORDING)


def test_speech_that_began_before_the_tone_ended_belongs_to_the_message() -> None:
    walk = at_offer().on(Key("1")).play().on(CallerSpoke()).play().wait(1).on(CallerPaused()).wait(4)
    assert walk.is_at(State.KEPT)


def test_message_ends_after_two_minutes() -> None:
    walk = at_recording().on(CallerSpoke()).wait(119.9)
    assert walk.is_at(State.RECORDING)
    assert walk.wait(0.1).is_at(State.KEPT)


def test_empty_message_is_asked_for_once_more_and_then_it_is_goodbye() -> None:
    walk = at_recording().wait(6)
    assert walk.done[-2:] == [StopRecording(keep=False), Say(Line.MESSAGE_EMPTY)]
    walk.play(3)
    assert walk.said[-3:] == ["message_empty", "message_prompt", "tone"]
    assert walk.wait(6).said[-1] == "goodbye"
