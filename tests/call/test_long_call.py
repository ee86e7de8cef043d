"""What the record of a call holds after two hours of talk: no more than a worker can hold for every call of its."""

import tracemalloc

import orjson

from engine.call.record import TIMELINE_KEPT, CallRecord
from engine.messages import Notes, Passage

HOURS = 2
TURN_S = 10.0  # asked and answered, without a pause
MOST_MIB = 3.0  # 250 calls at once: 750 MiB, if all of them were as long
WORDS = "Teeth whitening at the practice takes one hour and costs three hundred and ninety dollars. " * 2


def talk(record: CallRecord, hours: float) -> None:
    """Turn by turn, with everything that a turn leaves; every tenth one uses a tool."""
    for turn in range(round(hours * 3600 / TURN_S)):
        now = turn * TURN_S
        record.note(now, "floor", "caller")
        record.note(now, "speech", speech_ms=1800)
        passages = tuple(Passage(record.tenant_id, f"Prices: {n}", WORDS, 0.6) for n in range(3))
        record.retrieved(now, f"And what about number {turn}, please?", Notes(turn, "?", passages, 30.0), 40.0)
        generation = record.next_generation()
        record.note(now, "response", generation=generation, response_ms=400)
        for word in WORDS.split():
            record.agent_says(turn, generation, f"{word} ")
        record.finished(generation)
        record.note(now, "agent", record.text_of(generation), generation=generation)
        record.used(now, {"totalTokenCount": 900, "promptTokenCount": 700})
        if turn % 10 == 0:
            record.note(now, "tool_call", "opening_hours", arguments={"day": "monday"})
            record.note(now, "tool_result", "opening_hours", response={"status": "ok", "message": WORDS})


def test_two_hours_of_talk_are_a_few_mebibytes() -> None:
    tracemalloc.start()
    try:
        record = CallRecord(call_sid="CA1", tenant_id="acme", caller="+15550100555", started_at=0.0)
        talk(record, HOURS)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(record.timeline) == TIMELINE_KEPT, "long enough for the bound to matter"
    assert held / 2**20 < MOST_MIB
    assert len(orjson.dumps(record.document())) / 2**20 < MOST_MIB
