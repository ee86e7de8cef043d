"""What a session is told when it is given the floor."""

from engine.call.opening import going_on, greeting
from engine.call.record import CallRecord
from engine.tenants.tenant import Tenant

NOTES = "[reference notes 1 begin]\nParking is free.\n[reference notes 1 end]"


def record() -> CallRecord:
    return CallRecord(call_sid="CA1", tenant_id="acme", caller="", started_at=0.0)


def told_to_go_on(kept: CallRecord) -> str:
    return going_on(kept).speak(1).instruction


def test_the_first_session_greets_in_the_tenants_own_words() -> None:
    assert '"Acme, good morning."' in greeting(Tenant(id="acme", name="Acme", greeting="Acme, good morning.")).text


def test_a_caller_who_has_said_nothing_is_asked() -> None:
    kept = record()
    assert "Ask the caller briefly how you can help" in told_to_go_on(kept)
    kept.agent_says(0, 1, "Hello.")
    kept.script_said(1.0, "apology", "Sorry.")
    assert "Ask the caller briefly how you can help" in told_to_go_on(kept)


def test_words_that_were_not_answered_are_answered_with_their_notes() -> None:
    kept = record()
    kept.agent_says(0, 1, "Hello.")
    kept.caller_said(1, " is there parking ")
    kept.script_said(1.0, "apology", "Sorry.")
    kept.notes_text = NOTES
    told = told_to_go_on(kept)
    assert 'last words were: "is there parking"' in told
    assert "Answer them now" in told
    assert told.endswith(f"\n{NOTES}")


def test_an_answer_that_was_cut_goes_on_where_it_was_heard() -> None:
    kept = record()
    kept.caller_said(1, "is there parking")
    kept.agent_says(1, 2, "Parking is free for patients.")
    kept.finished(2)
    kept.cut(2, 600, 1000)
    told = told_to_go_on(kept)
    assert 'had asked: "is there parking"' in told
    assert 'heard you say: "Parking is free"' in told


def test_an_answer_that_was_never_finished_goes_on_too() -> None:
    kept = record()
    kept.caller_said(1, "is there parking")
    kept.agent_says(1, 2, "Parking is")
    assert 'heard you say: "Parking is" Go on' in told_to_go_on(kept)


def test_what_was_heard_to_its_end_is_not_said_again() -> None:
    kept = record()
    kept.caller_said(1, "is there parking")
    kept.agent_says(1, 2, "Parking is free.")
    kept.finished(2)
    told = told_to_go_on(kept)
    assert "what else you can do" in told
    assert "is there parking" not in told


def test_a_voice_without_sentences_of_its_own_is_given_words() -> None:
    assert greeting(Tenant(id="acme", name="Acme", greeting="Good morning.")).speak(1).say == "Good morning."
    kept = record()
    assert going_on(kept).speak(1).say == "How can I help you?"


def test_a_voice_without_sentences_of_its_own_is_told_what_is_still_to_be_answered() -> None:
    kept = record()
    kept.caller_said(1, "Where can I park?")
    kept.notes_text = NOTES
    told = going_on(kept).speak(1)
    assert (told.say, told.answer, told.notes) == ("", "Where can I park?", NOTES)


def test_a_sentence_that_is_owed_comes_first() -> None:
    kept = record()
    told = going_on(kept, "This call is recorded.").speak(1)
    assert told.say == "This call is recorded. How can I help you?"
    assert 'exactly these words: "This call is recorded."' in told.instruction
    kept.caller_said(1, "Where can I park?")
    told = going_on(kept, "This call is recorded.").speak(1)
    assert (told.say, told.answer) == ("This call is recorded.", "Where can I park?")
