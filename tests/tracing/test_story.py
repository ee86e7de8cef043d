"""A call's document as spans: what is where, how long, and that nothing anybody said is among it."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from engine.sim.moods import Cut, Rule
from engine.sim.scenario import HangUp, Listen, Say, SayOver
from engine.tracing.story import CALL, Story, tell
from engine.voice.cache import VoiceCache
from tests.calls import BOOKING, HOLD_ON, PARKING, Call, Stage, stage


def one(story: Story, name: str) -> Any:
    (span,) = story.named(name)
    return span


def timeline(*moments: tuple[float, str, str, dict[str, Any]]) -> dict[str, Any]:
    kept = [{"at_ms": at, "kind": kind, "text": text, "facts": facts} for at, kind, text, facts in moments]
    return {"call_sid": "CA1", "tenant_id": "acme", "duration_s": 0.0, "timeline": kept}


async def counted(on: Stage) -> str:
    """The metrics, once the call's end has been counted: after it was kept by a thread that no virtual clock sees."""
    metrics = on.world.composed.gateway.metrics
    for _ in range(100):
        if "frontdesk_call_seconds_count 1.0" in metrics.exposition().decode():
            break
        await trio.to_thread.run_sync(time.sleep, 0.02)
    return metrics.exposition().decode()


async def test_a_whole_call_is_told(tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock) -> None:
    async with stage(tmp_path, speech, Rule(Cut(1011, after_ms=900), turn=3)) as on:
        call: Call = await on.call(
            [
                Listen(),
                Say(on.said[BOOKING]),
                Listen(quiet_ms=1500),
                Say(on.said[PARKING]),
                Listen(quiet_ms=1500),
                HangUp(),
            ]
        )
        exposed = await counted(on)
    story = tell(call.end.document)
    root = story.spans[CALL]
    assert root.facts["frontdesk.reason"] == call.end.outcome_reason
    assert root.seconds == pytest.approx(call.end.document["timeline"][-1]["at_ms"] / 1000)
    assert all(0 <= span.start_ms <= span.end_ms <= root.end_ms for span in story.spans)
    first, second, *_ = story.named("model")
    assert first.failed
    assert not second.failed
    turns = list(story.named("turn"))
    assert len(turns) == len(call.moments("speech"))
    holds = list(story.named("retrieval"))
    assert [span.facts["held_ms"] for span in holds] == [m["facts"]["held_ms"] for m in call.moments("retrieved")]
    assert all(story.spans[span.parent or 0].name.startswith("turn ") for span in holds)
    assert one(story, "tool book_appointment").facts["status"] == "ok"
    rescue, back = one(story, "hand-over to script"), one(story, "hand-over to model")
    assert rescue.start_ms == back.start_ms == first.end_ms
    assert rescue.seconds <= 0.5
    assert one(story, "script").start_ms <= rescue.end_ms
    assert second.start_ms >= back.end_ms
    said = orjson.dumps([[span.name, span.facts] for span in story.spans] + [[e.name, e.facts] for e in story.events])
    for secret in (b"Robin", b"park", b"+1555", b"monday"):
        assert secret.lower() not in said.lower(), "what was said, or a number, is in the trace"
    assert 'frontdesk_handover_seconds_count{target="script"} 1.0' in exposed
    assert 'frontdesk_handover_seconds_count{target="model"} 1.0' in exposed
    assert 'frontdesk_tool_seconds_count{status="ok"} 1.0' in exposed
    assert f"frontdesk_retrieval_hold_seconds_count {len(holds):.1f}" in exposed
    assert "frontdesk_call_seconds_count 1.0" in exposed
    assert 'place="telemetry"' not in exposed


async def test_a_barge_in_is_measured_to_the_instant_of_silence(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with stage(tmp_path, speech) as on:
        await on.call([Listen(), Say(on.said[PARKING]), SayOver(on.said[HOLD_ON], after_ms=1500), Listen(), HangUp()])
        samples = {
            sample.name: sample.value
            for family in on.world.composed.gateway.metrics.registry.collect()
            for sample in family.samples
            if sample.name in {"frontdesk_barge_in_seconds_sum", "frontdesk_barge_in_seconds_count"}
        }
    assert samples["frontdesk_barge_in_seconds_count"] == 1
    assert 0.02 <= samples["frontdesk_barge_in_seconds_sum"] <= 0.2


def test_a_model_lost_before_the_script_could_speak_is_a_hand_over_to_the_end() -> None:
    story = tell(
        timeline(
            (0, "model", "gemini-live", {}),
            (900, "model_lost", "closed: secret words", {"kind": "cut", "code": 1011}),
            (901, "handover", "apologise", {"source": "model", "target": "script"}),
            (1000, "ended", "", {}),
        )
    )
    assert [span.name for span in story.spans] == ["call", "model gemini-live", "script"]
    assert story.spans[1].facts["code"] == 1011
    assert "secret" not in repr(story), "what a peer said may be anything"
    assert story.spans[2].end_ms == 1000


def test_lines_of_a_script_that_greets_are_no_hand_over() -> None:
    story = tell(timeline((0, "handover", "greet", {"target": "script"}), (5, "script", "Hello.", {"line": "greet"})))
    assert list(story.named("hand-over")) == []


def test_a_session_renewed_in_mid_call_is_another_span_of_the_same_floor() -> None:
    story = tell(
        timeline(
            (0, "model", "gemini-live", {}),
            (500, "handover", "next session", {"source": "gemini-live", "target": "gemini-live"}),
            (900, "ended", "", {}),
        )
    )
    assert [(span.start_ms, span.end_ms) for span in story.named("model")] == [(0, 500), (500, 900)]


def kinds() -> Iterator[str]:
    yield from ("model", "model_lost", "handover", "script", "speech", "retrieved", "response", "tool_call", "agent")
    yield from ("tool_result", "ended", "nobody knows")


FACT = st.one_of(st.none(), st.text(max_size=3), st.floats(-9, 9), st.dictionaries(st.text(max_size=3), st.none()))
MOMENT = st.one_of(
    st.none(),
    st.fixed_dictionaries(
        {"at_ms": st.one_of(st.floats(0, 1e4), st.none()), "kind": st.sampled_from(list(kinds())), "text": FACT},
        optional={"facts": st.one_of(st.none(), st.dictionaries(st.sampled_from(["target", "source", "ms"]), FACT))},
    ),
)


@given(st.lists(MOMENT, max_size=12))
def test_whatever_another_version_wrote_is_told_as_far_as_it_goes(moments: list[Any]) -> None:
    story = tell({"timeline": moments})
    assert story.spans[CALL].parent is None
    assert all(span.parent is not None and span.parent < at for at, span in enumerate(story.spans) if at)
