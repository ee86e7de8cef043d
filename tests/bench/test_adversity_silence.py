"""Unexplained silence is measured from what was heard, whoever was at fault."""

import pytest

from bench.adversity.silence import Announced, Turn, longest_silence, owed, turns_of

ANSWERED = Turn(1000, 9000, settled=True)
UNANSWERED = Turn(1000, 9000, settled=False)


def test_the_wait_for_an_answer_is_silence() -> None:
    assert longest_silence([ANSWERED], [(1800, 4000)]) == 800


def test_what_the_caller_takes_for_thinking_after_an_answer_is_not() -> None:
    assert longest_silence([ANSWERED], [(1100, 2000)]) == 100


def test_a_caller_who_is_never_answered_waits_until_they_act_again() -> None:
    assert longest_silence([UNANSWERED], []) == 8000


def test_an_answer_that_breaks_off_leaves_the_rest_owed() -> None:
    assert longest_silence([UNANSWERED], [(1500, 3000)]) == 6000


def test_a_pause_inside_an_answer_is_silence() -> None:
    assert longest_silence([ANSWERED], [(1100, 2000), (3500, 5000)]) == 1500


def test_sounds_that_overlap_or_touch_leave_no_silence_between() -> None:
    assert longest_silence([ANSWERED], [(900, 3000), (2000, 4000), (4000, 5000)]) == 0


def test_a_wait_that_was_announced_is_explained() -> None:
    sounds = [(1200.0, 3000.0), (6500.0, 8000.0)]
    assert longest_silence([ANSWERED], sounds) == 3500
    assert longest_silence([ANSWERED], sounds, announced=[Announced(2980, 3600)]) == 200


def test_a_wait_that_lasts_longer_than_was_announced_counts_whole() -> None:
    sounds = [(1200.0, 3000.0), (6900.0, 8000.0)]
    assert longest_silence([ANSWERED], sounds, announced=[Announced(3000, 3600)]) == 3900


def test_an_announcement_explains_only_the_silence_behind_it() -> None:
    sounds = [(1200.0, 2000.0), (2600.0, 3000.0), (6000.0, 8000.0)]
    assert longest_silence([ANSWERED], sounds, announced=[Announced(2000, 3600)]) == 3000


def test_time_in_which_the_line_carried_nothing_is_taken_out() -> None:
    assert longest_silence([UNANSWERED], [(7500, 9000)], line_down=[(1500, 6500)]) == 1000


@pytest.mark.parametrize("sounds", [[(0.0, 800.0)], [(9500.0, 9900.0)]])
def test_what_sounds_in_another_turn_answers_nothing(sounds: list[tuple[float, float]]) -> None:
    assert longest_silence([UNANSWERED], sounds) == 8000


def test_of_a_settled_turn_only_what_leads_up_to_its_last_sound_is_owed() -> None:
    assert owed([ANSWERED, Turn(9500, 12000, settled=False)], [(2000, 3000), (5000, 6000)]) == [
        (1000, 6000),
        (9500, 12000),
    ]


def test_turns_lie_between_what_the_caller_says() -> None:
    assert turns_of([(2000, 3000), (5000, 6000)], [(100, 1500), (6500, 7000)], until=8000) == [
        Turn(0, 2000, settled=True),
        Turn(3000, 5000, settled=False),
        Turn(6000, 8000, settled=True),
    ]


def test_a_caller_who_was_answered_may_be_silent_until_they_are_asked_again() -> None:
    answers = [(3500.0, 6000.0), (18_500.0, 19_500.0)]
    turns = turns_of([(2000, 3000)], answers, until=20_000, asked_again=[18_000])
    assert longest_silence(turns[1:], answers) == 500


def test_a_caller_who_was_not_answered_waits_until_they_are_asked_again_and_longer() -> None:
    answers = [(18_500.0, 19_500.0)]
    turns = turns_of([(2000, 3000)], answers, until=20_000, asked_again=[18_000])
    assert longest_silence(turns[1:], answers) == 15_000


def test_being_about_to_ask_again_is_no_answer() -> None:
    turns = turns_of([(2000, 3000)], [(3500.0, 6000.0)], until=40_000, asked_again=[18_000])
    assert longest_silence(turns[1:], [(3500.0, 6000.0)]) == 22_000
