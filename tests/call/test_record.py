"""What is kept of a call: transcript as heard, timeline, and what a successor session is told."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from engine.call.outcome import Outcome, Reason
from engine.call.record import HISTORY_CHARS, LONGEST_TEXT, TIMELINE_KEPT, CallRecord, Moment
from engine.model.provider import HistoryItem

SENTENCE = "Parking is free for patients behind the house."


def record(**changes: object) -> CallRecord:
    return CallRecord(call_sid="CA1", tenant_id="acme", caller="+15550100001", started_at=100.0, **changes)  # type: ignore[arg-type]


def test_agent_text_is_joined_from_deltas_with_their_own_spacing() -> None:
    kept = record()
    for delta in ("Parking is", " free", "."):
        kept.agent_says(1, 7, delta)
    assert kept.text_of(7) == "Parking is free."
    assert kept.text_of(8) == ""
    assert kept.transcript() == [{"role": "agent", "text": "Parking is free.", "turn": 1, "cut": False}]


def test_what_was_cut_is_kept_to_the_last_whole_word_that_was_heard() -> None:
    kept = record()
    kept.agent_says(1, 7, SENTENCE)
    kept.cut(7, 800, 2000)
    assert kept.transcript() == [{"role": "agent", "text": "Parking is free", "turn": 1, "cut": True}]
    assert kept.history() == (HistoryItem("agent", "Parking is free"),)


def test_what_was_cut_before_its_first_word_is_not_said_to_have_been_heard() -> None:
    kept = record()
    kept.agent_says(1, 7, SENTENCE)
    kept.cut(7, 0, 2000)
    assert kept.transcript() == []
    assert kept.history() == ()


def test_a_cut_of_nothing_or_of_an_unknown_utterance_changes_nothing() -> None:
    kept = record()
    kept.agent_says(1, 7, SENTENCE)
    kept.cut(7, 0, 0)
    kept.cut(8, 10, 20)
    kept.finished(8)
    assert kept.transcript()[0]["text"] == SENTENCE


@given(st.lists(st.text("ab", min_size=1, max_size=4), max_size=12), st.floats(0, 5000), st.floats(1, 5000))
def test_heard_text_is_a_beginning_of_the_text_in_whole_words(words: list[str], heard_ms: float, of_ms: float) -> None:
    kept = record()
    kept.agent_says(1, 7, " ".join(words))
    kept.cut(7, heard_ms, of_ms)
    heard = kept.utterances[0].heard.split()
    assert heard == words[: len(heard)]
    assert len("".join(heard)) <= len("".join(words)) * min(1.0, heard_ms / of_ms)
    if heard_ms >= of_ms:
        assert heard == words


def test_the_best_known_text_of_a_turn_replaces_the_earlier_one() -> None:
    kept = record()
    kept.caller_said(1, "is there")
    kept.agent_says(1, 7, "Yes.")
    kept.caller_said(1, "is there parking")
    kept.caller_said(2, "thanks")
    assert [(line["role"], line["text"], line["turn"]) for line in kept.transcript()] == [
        ("caller", "is there parking", 1),
        ("agent", "Yes.", 1),
        ("caller", "thanks", 2),
    ]


def test_history_is_in_order_and_without_the_script() -> None:
    kept = record()
    kept.agent_says(0, 1, "Hello.")
    kept.caller_said(1, "is there parking")
    kept.script_said(101.0, "apology", "Sorry.")
    kept.agent_says(1, 2, "Yes, there is.")
    kept.agent_says(1, 3, "  ")
    assert kept.history() == (
        HistoryItem("agent", "Hello."),
        HistoryItem("caller", "is there parking"),
        HistoryItem("agent", "Yes, there is."),
    )
    assert [line["role"] for line in kept.transcript()] == ["agent", "caller", "script", "agent"]


def test_the_timeline_counts_from_the_start_and_keeps_its_newest() -> None:
    seen: list[tuple[str, Moment]] = []
    kept = record(observe=lambda sid, moment: seen.append((sid, moment)))
    for number in range(TIMELINE_KEPT + 5):
        kept.note(100.0 + number, "speech", speech_ms=number)
    assert len(kept.timeline) == TIMELINE_KEPT
    assert kept.timeline[0] == Moment(5000.0, "speech", "", {"speech_ms": 5})
    assert len(seen) == TIMELINE_KEPT + 5
    assert seen[-1] == ("CA1", kept.timeline[-1])


def test_a_script_line_is_on_the_timeline_by_its_name() -> None:
    kept = record()
    kept.script_said(101.0, "apology", "Sorry.")
    assert kept.timeline == [Moment(1000.0, "script", "Sorry.", {"line": "apology"})]


def test_a_script_line_is_heard_as_far_as_it_was_played_and_settled_then() -> None:
    kept = record()
    kept.script_said(101.0, "greeting", "This call is recorded for good.", 5)
    kept.script_said(101.0, "offer", "Press one.", 6)
    settled = [[one.settled for one in kept.utterances]]
    kept.cut(5, 2000.0, 4000.0)
    settled.append([one.settled for one in kept.utterances])
    kept.played(6, 900.0)
    settled.append([one.settled for one in kept.utterances])
    assert settled == [[False, False], [True, False], [True, True]]
    assert [one.heard for one in kept.utterances] == ["This call is", "Press one."]


def test_what_is_said_after_its_sound_was_played_is_settled_at_once() -> None:
    kept = record()
    kept.played(7, 900.0)
    kept.agent_says(1, 7, "Yes.")
    assert kept.utterances[0].settled


def test_generations_only_grow() -> None:
    kept = record()
    assert [kept.next_generation() for _ in range(3)] == [1, 2, 3]


def test_the_document_is_json_and_whole() -> None:
    kept = record()
    assert kept.document()["outcome"] is None
    kept.sessions = 2
    kept.caller_said(1, "hello")
    kept.keep_message(b"\x01")
    kept.note(101.0, "key", "1")
    kept.outcome = Outcome.of(Reason.AGENT_ENDED, "done")
    document = orjson.loads(orjson.dumps(kept.document()))
    assert document["outcome"] == {"outcome": "success", "reason": "agent_ended", "detail": "done"}
    assert (document["call_sid"], document["tenant_id"], document["caller"]) == ("CA1", "acme", "+15550100001")
    assert (document["sessions"], document["turns"], document["handovers"]) == (2, 0, 0)
    assert document["timeline"] == [{"at_ms": 1000.0, "kind": "key", "text": "1", "facts": {}}]
    assert document["transcript"] == [{"role": "caller", "text": "hello", "turn": 1, "cut": False}]
    assert kept.messages == [b"\x01"]


def test_a_long_call_seeds_a_successor_with_the_newest_of_it_and_no_text_grows_without_end() -> None:
    record = CallRecord(call_sid="CA1", tenant_id="acme", caller="", started_at=0.0)
    for turn in range(1000):
        record.caller_said(turn, f"Question {turn} " + "x" * 100)
    seeded = record.history()
    assert sum(len(item.text) for item in seeded) <= HISTORY_CHARS
    assert seeded[-1].text.startswith("Question 999")
    assert 200 < len(seeded) < 300
    for _ in range(100):
        record.agent_says(1000, 1, "word " * 100)
    assert len(record.text_of(1)) <= LONGEST_TEXT
