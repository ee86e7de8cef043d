"""Another voice was lost in mid-call, and the offline one takes over."""

from tests.dialogue.conversation import Conversation

ASKED = (("caller", "I'd like to book a cleaning"), ("agent", "Sure! What day works for you?"))


def test_a_booking_goes_on_where_another_voice_left_it() -> None:
    call = Conversation(
        "harbor-dental",
        history=[*ASKED, ("caller", "Tuesday"), ("agent", "And what time suits you?"), ("caller", "at half past two")],
    )
    assert "name" in call.hear("at half past two")
    assert "on Tuesday at 2:30 p.m., reason: cleaning, for Robin Lee" in call.hear("Robin Lee")
    call.hear("yes")
    assert [name for name, _ in call.done] == ["book_appointment"]


def test_a_yes_to_another_voice_is_asked_for_again() -> None:
    call = Conversation(
        "harbor-dental",
        history=[
            *ASKED,
            ("caller", "Tuesday at ten, my name is Robin Lee"),
            ("agent", "Tuesday at ten for Robin Lee, is that right?"),
            ("caller", "yes"),
        ],
    )
    assert "on Tuesday at 10 a.m." in call.hear("yes")
    assert call.done == []
    call.hear("yes")
    assert [name for name, _ in call.done] == ["book_appointment"]


def test_what_another_voice_has_done_is_not_begun_again() -> None:
    call = Conversation(
        "harbor-dental",
        history=[*ASKED, ("caller", "Tuesday at ten, my name is Robin Lee"), ("agent", "You're booked for Tuesday.")],
    )
    call.hear("yes")
    call.hear("yes")
    assert call.done == []


def test_a_wish_that_was_dropped_is_not_taken_up() -> None:
    call = Conversation("harbor-dental", history=[*ASKED, ("caller", "never mind"), ("agent", "All right.")])
    assert "Parking is free" in call.hear("where can I park", "Parking")


def test_a_question_in_mid_booking_is_answered_before_it_goes_on() -> None:
    call = Conversation("harbor-dental", history=[*ASKED])
    assert "Parking is free" in call.hear("is there parking", "Parking")
    assert "time" in call.hear("tuesday")
