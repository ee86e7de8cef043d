"""Whom a call asks next: down the tenant's order and round again, past those that fail."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.call.circuits import CALLS, PAUSES_S, Circuits
from engine.call.lineup import LOSSES_TOLERATED, PROVEN_S, STRIKES, Lineup
from engine.errors import ModelRefused
from engine.metrics import Metrics
from tests.call.model import FakeModel

NAMES = ("gemini-live", "openai-realtime", "local")
GEMINI, OPENAI, LOCAL = NAMES


def lineup(*names: str, failing: tuple[str, ...] = ()) -> Lineup:
    circuits = Circuits(Metrics(), names)
    for name in failing:
        for number in range(CALLS):
            circuits.begin(name, f"CA{number}", 0.0).ended(ModelRefused("no"), 0.0, 0.0)
    return Lineup([FakeModel(name) for name in names], circuits)


def names(line: Lineup, first: str = "", *, last: str = "", now: float = 0.0) -> list[str]:
    return [model.name for model in line.round(now, first, last=last)]


def test_a_call_begins_with_the_tenants_first() -> None:
    assert names(lineup(*NAMES)) == [GEMINI, OPENAI, LOCAL]


def test_whoever_was_lost_is_asked_first_and_there_is_no_way_back_but_round() -> None:
    assert names(lineup(*NAMES), OPENAI) == [OPENAI, LOCAL, GEMINI]


def test_whoever_has_just_refused_is_asked_last() -> None:
    assert names(lineup(*NAMES), last=OPENAI) == [LOCAL, GEMINI, OPENAI]
    assert names(lineup(*NAMES), OPENAI, last=GEMINI) == [OPENAI, LOCAL, GEMINI]


def test_whoever_failed_the_call_twice_in_a_row_is_passed_over() -> None:
    line = lineup(*NAMES)
    line.lost(GEMINI, served_s=3.0)
    assert names(line, GEMINI) == [GEMINI, OPENAI, LOCAL]
    line.refused(GEMINI)
    assert names(line, GEMINI) == [OPENAI, LOCAL]
    assert names(line, LOCAL) == [LOCAL, OPENAI]


def test_a_session_that_served_long_forgives_what_was_before_it() -> None:
    line = lineup(*NAMES)
    line.refused(GEMINI)
    line.lost(GEMINI, served_s=PROVEN_S)
    assert names(line, GEMINI) == [GEMINI, OPENAI, LOCAL]
    line.lost(GEMINI, served_s=PROVEN_S - 1)
    assert names(line, GEMINI) == [OPENAI, LOCAL]


def test_who_fails_for_everyone_is_passed_over_until_tried_again() -> None:
    line = lineup(*NAMES, failing=(GEMINI, OPENAI))
    assert names(line) == [LOCAL]
    assert names(line, now=PAUSES_S[0]) == [GEMINI, OPENAI, LOCAL]


def test_where_nobody_else_is_left_all_are_asked_in_order() -> None:
    assert names(lineup(*NAMES, failing=NAMES), OPENAI) == [OPENAI, LOCAL, GEMINI]
    line = lineup(*NAMES, failing=(GEMINI,))
    for name in (OPENAI, LOCAL) * STRIKES:
        line.refused(name)
    assert names(line, LOCAL) == [LOCAL, GEMINI, OPENAI]


@pytest.mark.parametrize("models", [1, 2, 3, 4])
def test_every_model_has_its_chances_before_nobody_is_sought_any_more(models: int) -> None:
    line = lineup(*(f"m{number}" for number in range(models)))
    losses = 0
    while not line.is_spent:
        line.lost(line.round(0.0, f"m{min(losses // STRIKES, models - 1)}")[0].name, served_s=1.0)
        losses += 1
    assert losses == max(LOSSES_TOLERATED, STRIKES * models)


def test_without_models_and_after_a_dismissal_nobody_is_sought() -> None:
    assert lineup().is_spent
    assert names(lineup()) == []
    line = lineup(*NAMES)
    assert not line.is_spent
    line.dismiss()
    assert line.is_spent


EVENTS = st.lists(st.tuples(st.sampled_from(["lost", "refused"]), st.sampled_from(NAMES)), max_size=12)


@given(EVENTS, st.sampled_from(["", *NAMES]), st.sampled_from(["", *NAMES]), st.sets(st.sampled_from(NAMES)))
def test_a_round_is_never_empty_asks_nobody_twice_and_keeps_the_order(
    events: list[tuple[str, str]], first: str, last: str, failing: set[str]
) -> None:
    line = lineup(*NAMES, failing=tuple(failing))
    for what, name in events:
        if what == "lost":
            line.lost(name, served_s=1.0)
        else:
            line.refused(name)
    asked = names(line, first, last=last)
    assert asked
    assert len(set(asked)) == len(asked)
    begin = NAMES.index(last) + 1 if last else NAMES.index(first) if first else 0
    in_order = [NAMES[(begin + step) % len(NAMES)] for step in range(len(NAMES))]
    assert asked == [name for name in in_order if name in asked]
