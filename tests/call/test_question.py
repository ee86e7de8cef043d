"""The question of one turn: what is asked when, and which outcome it may be answered with."""

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import engine
from engine.call.question import Question
from engine.errors import MisuseError
from engine.messages import (
    Asked,
    CommitTurn,
    Notes,
    NothingFound,
    Passage,
    Query,
    RetrievalOutcome,
    Skipped,
    TimedOut,
)

PARKING = "is there parking"
PASSAGE = Passage("acme", "faq", "Parking is free.", 0.9)


def question() -> Question:
    return Question("acme", 3, 0.25)


def found(query: str, turn_id: int = 3) -> Notes:
    return Notes(turn_id, query, (PASSAGE,), 4.0)


def test_partial_text_is_asked_speculatively_and_the_last_text_finally() -> None:
    asked = question()
    assert asked.hear("is there") == Query("acme", 3, "is there", final=False)
    assert asked.hear(f" {PARKING} ") == Query("acme", 3, PARKING, final=False)
    assert asked.ask(10.0) == Query("acme", 3, PARKING, final=True)
    assert asked.deadline == 10.25
    assert asked.held_ms(10.1) == 1000 * (10.1 - 10.0)


def test_text_that_says_nothing_new_is_not_asked_again() -> None:
    asked = question()
    asked.hear(PARKING)
    assert asked.hear(f"{PARKING} ") is None
    assert asked.hear("  ") is None
    assert asked.text == PARKING


def test_better_text_after_the_end_is_asked_finally() -> None:
    asked = question()
    asked.hear("is there")
    asked.ask(1.0)
    assert asked.hear(PARKING) == Query("acme", 3, PARKING, final=True)


def test_an_outcome_known_already_is_not_asked_for_again() -> None:
    asked = question()
    asked.hear(PARKING)
    asked.answer(found(PARKING))
    assert asked.ask(1.0) is None
    assert asked.outcome == found(PARKING)


def test_an_outcome_for_older_text_is_none_until_the_budget_is_spent() -> None:
    asked = question()
    asked.hear("is there")
    asked.answer(found("is there"))
    asked.hear(PARKING)
    assert asked.ask(1.0) is not None
    assert asked.outcome is None
    assert asked.commit() == CommitTurn(Asked(3), found("is there"))


def test_an_outcome_for_older_text_that_comes_late_displaces_no_better_one() -> None:
    asked = question()
    asked.hear("is there")
    asked.ask(1.0)
    asked.keep_open()
    asked.hear(PARKING)
    asked.ask(2.0)
    asked.answer(found(PARKING))
    asked.answer(found("is there"))
    assert asked.outcome == found(PARKING)


def test_an_outcome_of_another_turn_is_ignored() -> None:
    asked = question()
    asked.hear(PARKING)
    asked.ask(1.0)
    asked.answer(found(PARKING, turn_id=2))
    assert asked.outcome is None
    assert asked.commit() == CommitTurn(Asked(3), TimedOut(3, PARKING, 250.0))


def test_nothing_understood_is_skipped_at_once() -> None:
    asked = question()
    assert asked.ask(1.0) is None
    assert asked.outcome == Skipped(3, "no query text")


def test_small_talk_is_not_looked_up_and_recorded_as_skipped() -> None:
    asked = question()
    assert asked.hear("Okay, thank you!") is None
    assert asked.outcome is None
    assert asked.ask(1.0) is None
    assert asked.outcome == Skipped(3, "small talk")


def test_what_turns_out_to_be_small_talk_after_the_end_is_not_waited_for() -> None:
    asked = question()
    asked.hear("ok thank")
    assert asked.ask(1.0) is not None
    assert asked.hear("okay thank you") is None
    assert asked.outcome == Skipped(3, "small talk")


def test_a_caller_who_goes_on_takes_a_skip_back() -> None:
    asked = question()
    asked.hear("okay")
    asked.ask(1.0)
    asked.keep_open()
    assert asked.outcome is None
    assert asked.hear(PARKING) == Query("acme", 3, PARKING, final=False)
    assert asked.ask(2.0) == Query("acme", 3, PARKING, final=True)
    assert asked.deadline == 2.25


def test_what_was_found_before_the_caller_went_on_is_kept() -> None:
    asked = question()
    asked.hear(PARKING)
    asked.ask(1.0)
    asked.answer(found(PARKING))
    asked.keep_open()
    assert asked.ask(2.0) is None
    assert asked.outcome == found(PARKING)


def test_a_failed_retriever_answers_with_a_skip() -> None:
    asked = question()
    asked.hear(PARKING)
    asked.ask(1.0)
    asked.answer(Skipped(3, "retriever failed"))
    assert asked.outcome == Skipped(3, "retriever failed")


TEXTS = st.sampled_from(["", "is there", PARKING, "okay", "thank you", f" {PARKING} "])
OUTCOMES: st.SearchStrategy[RetrievalOutcome] = st.one_of(
    st.builds(found, TEXTS.map(str.strip), st.integers(2, 4)),
    st.builds(NothingFound, st.integers(2, 4), TEXTS.map(str.strip), st.just(1.0)),
    st.builds(Skipped, st.integers(2, 4), st.just("retriever failed")),
)


@given(st.lists(st.one_of(TEXTS, OUTCOMES, st.sampled_from([Question.ask, Question.keep_open])), max_size=20))
def test_an_outcome_is_always_of_this_turn_and_of_its_last_text(steps: list[object]) -> None:
    asked = question()
    final = False
    for step in steps:
        if isinstance(step, str):
            query = asked.hear(step)
        elif step is Question.ask:
            query, final = asked.ask(1.0), True
            assert query is not None or asked.outcome is not None, "there would be nothing to wait for"
        elif step is Question.keep_open:
            asked.keep_open()
            query, final = None, False
        else:
            asked.answer(step)  # type: ignore[arg-type]
            query = None
        if query is not None:
            assert (query.tenant_id, query.turn_id, query.text, query.final) == ("acme", 3, asked.text, final)
        outcome = asked.outcome
        if outcome is not None:
            assert outcome.turn_id == 3
            assert isinstance(outcome, Skipped) or getattr(outcome, "query", None) == asked.text
        if final:
            commit = asked.commit()
            assert commit.turn_id == commit.outcome.turn_id == 3
        else:
            with pytest.raises(MisuseError, match="nothing was asked"):
                asked.commit()


def test_a_turn_cannot_be_committed_with_the_outcome_of_another() -> None:
    with pytest.raises(MisuseError, match="turn 3 cannot be answered with notes of turn 2"):
        CommitTurn(Asked(3), found(PARKING, turn_id=2))


def test_only_the_question_says_that_it_was_asked() -> None:
    built_in = set()
    for path in Path(engine.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in {"Asked", "CommitTurn"}
            ):
                built_in.add(path.name)
    assert built_in == {"question.py"}
