"""A record survives being written in one process and read in another."""

from dataclasses import fields
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.call.outcome import Outcome, Reason
from engine.call.record import CallRecord, Moment, Utterance
from engine.call.record_state import CHARACTERS_PER_S, TIMELINE_TAIL, UNHEARD_S, mark, put_before, restore, snapshot
from engine.call.use import ModelUse

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
COUNT = st.integers(0, 50)
UTTERANCES = st.lists(
    st.builds(
        Utterance,
        role=st.sampled_from(["caller", "agent", "script"]),
        text=TEXT,
        turn_id=COUNT,
        generation=st.none() | st.integers(1, 50),
        heard_share=st.floats(0, 1),
        complete=st.booleans(),
    ),
    max_size=8,
)
OUTCOMES = st.none() | st.builds(Outcome.of, st.sampled_from(list(Reason)), TEXT)


@st.composite
def records(draw: st.DrawFn) -> CallRecord:
    record = CallRecord(call_sid="CA1", tenant_id="acme", caller=draw(TEXT), started_at=draw(st.floats(0, 1e5)))
    record.handle, record.provider, record.notes_text = draw(st.none() | TEXT), draw(TEXT), draw(TEXT)
    record.outcome = draw(OUTCOMES)
    record.sessions, record.turns, record.handovers = draw(COUNT), draw(COUNT), draw(COUNT)
    record.tokens.update(draw(st.dictionaries(TEXT, COUNT, max_size=2)))
    for provider in draw(st.sets(st.sampled_from(["gemini-live", "local"]))):
        record.use.models[provider] = ModelUse(*draw(st.tuples(COUNT, COUNT, COUNT, COUNT)))
    record.use.tool_calls, record.use.tool_repeats = draw(COUNT), draw(COUNT)
    record.take_up(draw(UTTERANCES), draw(COUNT))
    for at_ms, text in draw(st.lists(st.tuples(st.floats(0, 1e6), TEXT), max_size=4)):
        record.timeline.append(Moment(at_ms, "note", text, {"n": 1, "of": [1, "two", None]}))
    record.messages = draw(st.lists(st.binary(max_size=8), max_size=2))
    return record


def through_json(record: CallRecord, age_s: float) -> dict[str, Any]:
    read: dict[str, Any] = orjson.loads(orjson.dumps(snapshot(record, record.started_at + age_s)))
    return read


def told(record: CallRecord) -> dict[str, Any]:
    """All that a successor goes by."""
    document = record.document()
    del document["duration_s"]  # its age stands for it
    return document | {
        "handle": record.handle,
        "provider": record.provider,
        "notes": record.notes_text,
        "generation": record.generation,
        "utterances": [tuple(getattr(one, field.name) for field in fields(Utterance)) for one in record.utterances],
        "messages": record.messages,
        "history": record.history(),
    }


@given(record=records(), age_s=st.floats(0, 1e4), away_s=st.floats(0, 100), now=st.floats(0, 1e5))
def test_what_is_read_elsewhere_is_what_was_written(
    record: CallRecord, age_s: float, away_s: float, now: float
) -> None:
    back = restore(
        through_json(record, age_s), record.messages, call_sid="CA1", tenant_id="acme", now=now, saved_ago_s=away_s
    )
    assert told(back) == told(record)
    assert now - back.started_at == pytest.approx(age_s + away_s, abs=0.01)
    assert mark(back) == mark(record)
    assert back.next_generation() == record.generation + 1


@given(
    record=records(),
    extra=st.dictionaries(TEXT, COUNT, max_size=3),
    lost=st.sets(st.sampled_from(["timeline", "tokens", "handle", "outcome"])),
)
def test_a_snapshot_of_another_version_is_read_as_far_as_it_is_understood(
    record: CallRecord, extra: dict[str, int], lost: set[str]
) -> None:
    written = {name: value for name, value in through_json(record, 1.0).items() if name not in lost}
    written = {f"new {name}": value for name, value in extra.items()} | written
    for one in written["utterances"]:
        one["anchors of tomorrow"] = [[0, 1]]
    back = restore(written, (), call_sid="CA1", tenant_id="acme", now=5.0, saved_ago_s=0.0)
    assert back.transcript() == record.transcript()
    assert "outcome" not in lost or back.outcome is None


@pytest.mark.parametrize(
    "nonsense", [{}, {"age_s": "old"}, {"age_s": 1.0, "utterances": [{"text": "?"}]}, {"age_s": 1.0, "timeline": [7]}]
)
def test_what_is_no_snapshot_is_said_to_be_none(nonsense: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"snapshot|float"):
        restore(nonsense, (), call_sid="CA1", tenant_id="acme", now=0.0, saved_ago_s=0.0)


def a_record() -> CallRecord:
    record = CallRecord(call_sid="CA1", tenant_id="acme", caller="+1", started_at=100.0)
    record.caller_said(1, "Is there parking?")
    return record


def spoken(record: CallRecord, text: str, *, began_at: float) -> int:
    generation = record.next_generation()
    record.note(began_at, "response", generation=generation)
    record.agent_says(1, generation, text)
    record.finished(generation)
    return generation


@pytest.mark.parametrize(("heard_s", "share"), [(-0.5, 0.0), (2.0, 0.25), (4.0, 0.5), (60.0, 1.0)])
def test_what_a_lost_worker_was_saying_counts_as_heard_for_the_time_that_it_had(heard_s: float, share: float) -> None:
    record = a_record()
    spoken(record, "x" * round(8 * CHARACTERS_PER_S), began_at=110.0)
    away_s = heard_s + UNHEARD_S - 0.5  # and half a second before it was written
    back = restore(through_json(record, 10.5), (), call_sid="CA1", tenant_id="acme", now=7.0, saved_ago_s=away_s)
    assert back.utterances[-1].heard_share == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize("how", ["agent", "cut", "share"])
def test_what_is_known_to_be_heard_is_not_guessed(how: str) -> None:
    record = a_record()
    generation = spoken(record, "We have parking. " * 20, began_at=110.0)
    if how == "share":
        record.cut(generation, 300.0, 1000.0)
    else:
        record.note(111.0, how, generation=generation)
    before = record.utterances[-1].heard_share
    back = restore(through_json(record, 11.5), (), call_sid="CA1", tenant_id="acme", now=7.0, saved_ago_s=1.0)
    assert back.utterances[-1].heard_share == before


def test_only_the_newest_moments_travel_and_all_that_was_said() -> None:
    record = a_record()
    for number in range(TIMELINE_TAIL + 50):
        record.note(100.0 + number, "key", str(number))
        record.caller_said(number + 2, f"words {number}")
    back = restore(through_json(record, 1.0), (), call_sid="CA1", tenant_id="acme", now=0.0, saved_ago_s=0.0)
    assert back.timeline == record.timeline[-TIMELINE_TAIL:]
    assert back.transcript() == record.transcript()


def test_anything_that_changes_what_would_be_written_changes_the_mark() -> None:
    record = a_record()
    generation = record.next_generation()
    changes = [
        lambda: record.agent_says(1, generation, "We"),
        lambda: record.agent_says(1, generation, " have"),
        lambda: record.finished(generation),
        lambda: record.cut(generation, 1.0, 2.0),
        lambda: record.note(101.0, "key", "1"),
        lambda: record.keep_message(b"1"),
        lambda: setattr(record, "handle", "h"),
        lambda: setattr(record, "outcome", Outcome.of(Reason.TRANSFERRED)),
        lambda: setattr(record, "notes_text", "notes"),
        record.next_generation,
    ]
    seen = [mark(record)]
    assert mark(record) == seen[0]
    for change in changes:
        change()
        assert mark(record) != seen[-1]
        seen.append(mark(record))


def test_what_comes_late_is_the_first_part_of_the_call() -> None:
    earlier, record = a_record(), CallRecord(call_sid="CA1", tenant_id="acme", caller="", started_at=130.0)
    spoken(earlier, "It is free.", began_at=105.0)
    earlier.keep_message(b"1")
    earlier.turns = 1
    earlier.use.of("gemini-live").tokens_in, earlier.use.tool_calls = 7, 1
    record.use.of("gemini-live").tokens_in, record.use.tool_calls = 5, 1
    generation = spoken(record, "Hello again.", began_at=131.0)
    record.turns = 2
    put_before(record, earlier)
    assert [one.text for one in record.utterances] == ["Is there parking?", "It is free.", "Hello again."]
    assert [(one.at_ms, one.kind) for one in record.timeline] == [(5000.0, "response"), (31000.0, "response")]
    assert (record.caller, record.messages, record.turns, record.started_at) == ("+1", [b"1"], 3, 100.0)
    assert record.use.quantities() == {"gemini-live-tokens-in": 12, "tool-calls": 2}
    assert record.text_of(generation) == "Hello again."
