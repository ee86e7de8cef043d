"""Whole calls that are recorded: what both said is there, at its time, and nothing that nobody may keep."""

import io
import time
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import trio.testing
from pydantic import ValidationError

from engine.audio import g711
from engine.call.record import CallRecord
from engine.call.recording import Recordings
from engine.errors import LineLost
from engine.messages import Effect, FloorEvent
from engine.metrics import Metrics
from engine.recording.consent import was_heard
from engine.recording.files import RecordingFiles
from engine.recording.sealed import unseal
from engine.recording.wav import head, interleaved, samples_in
from engine.sim.brain import GroundedBrain, ToolWish
from engine.sim.recognise import find_clip
from engine.sim.scenario import HangUp, Listen, Moment, Press, Say, Wait
from engine.telephony.ingress import run_ingress
from engine.tenants.tenant import RecordingRule, Tenant, ToolSpec
from engine.voice.cache import VoiceCache
from engine.wire.twilio_media import Dtmf
from tests.calls import BOOKING, HOLD_ON, PARKING, TENANT, WHITENING, Call, Stage, cache_dir, stage

SECRET = "a secret of these tests"
CONSENT = "This call is recorded."
PAUSE = ToolSpec(name="pause_recording", description="Pauses.", effect=Effect.READS)
RESUME = ToolSpec(name="resume_recording", description="Goes on.", effect=Effect.READS)
RECORDED: Tenant = TENANT.model_copy(
    update={
        "recording": RecordingRule(enabled=True),
        "recording_consent": CONSENT,
        "tools": (*TENANT.tools, PAUSE, RESUME),
    }
)


@asynccontextmanager
async def recording_stage(
    tmp_path: Path, speech: VoiceCache, tenant: Tenant = RECORDED, **settings: Any
) -> AsyncIterator[Stage]:
    brain = GroundedBrain(
        wishes={
            "book me a cleaning": ToolWish("pause_recording", {}),
            "about the prices": ToolWish("resume_recording", {}),
        },
    )
    async with stage(tmp_path, speech, tenant=tenant, brain=brain, **settings) as on:
        yield on


def fates(on: Stage) -> dict[str, float]:
    counter = on.world.composed.gateway.metrics.recordings
    return {
        sample.labels["fate"]: sample.value
        for family in counter.collect()
        for sample in family.samples
        if sample.name.endswith("_total")
    }


async def recorded(on: Stage, speech: VoiceCache, scenario: list[Moment]) -> tuple[Call, bytes, bytes]:
    """The call, and what was recorded of the caller and of the agent, in mu-law."""
    call = await on.call(scenario)
    for _ in range(200):
        if fates(on):
            break
        await trio.to_thread.run_sync(time.sleep, 0.02)  # the writer is a thread, which the virtual clock does not see
    assert fates(on) == {"kept": 1.0}
    files = RecordingFiles(cache_dir(speech))
    path = files.path(TENANT.id, call.report.call_sid, 0)
    assert path.stat().st_mode & 0o077 == 0
    with path.open("rb") as file:
        chunks = list(unseal(file, SECRET.encode(), TENANT.id, f"{call.report.call_sid}-0"))
        assert samples_in(file) == sum(map(len, chunks)) // 2
    path.unlink()
    return (
        call,
        b"".join(chunk[: len(chunk) // 2] for chunk in chunks),
        b"".join(chunk[len(chunk) // 2 :] for chunk in chunks),
    )


async def test_both_sides_are_recorded_at_their_times_from_the_consent_on(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with recording_stage(tmp_path, speech, secret_key=SECRET) as on:
        call, caller, agent = await recorded(
            on, speech, [Listen(), Wait(2), Say(on.said[PARKING]), Listen(), Wait(1), HangUp()]
        )
        prompts = on.prompts
    assert was_heard(CONSENT, call.said("agent")[:1]), "said with the greeting, in so many words"
    asked_ms = find_clip(caller, on.said[PARKING].mulaw)
    assert asked_ms is not None
    heard_ms = find_clip(call.report.left, on.said[PARKING].mulaw)
    assert heard_ms is not None
    # The same answer as the caller's own ear has it, as far behind the question.
    begins = asked_ms + 1000 * len(on.said[PARKING].mulaw) / 8000
    loud = np.abs(g711.decode(agent).astype(int)) > 1000
    first_answer_ms = 1000 * (np.flatnonzero(loud[round(8 * begins) :])[0]) / 8000
    assert call.report.responses[0] == pytest.approx(first_answer_ms, abs=150)
    assert not loud[: round(8 * asked_ms)].any(), "the greeting, with the consent in it, was before"
    assert find_clip(agent, prompts.greeting) is None


async def test_nothing_is_kept_between_pause_and_resume_and_time_goes_on(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with recording_stage(tmp_path, speech, secret_key=SECRET) as on:
        say = on.said
        call, caller, _ = await recorded(
            on,
            speech,
            [
                Listen(), Wait(2), Say(say[PARKING]), Listen(), Say(say[BOOKING]), Listen(), Say(say[WHITENING]),
                Listen(), Say(say[HOLD_ON]), Listen(), Say(say[PARKING]), Listen(), HangUp(),
            ],
        )  # fmt: skip
    assert [moment["text"] for moment in call.moments("tool_result")] == ["pause_recording", "resume_recording"]
    first = find_clip(caller, say[PARKING].mulaw)
    assert first is not None
    again = find_clip(caller, say[PARKING].mulaw, after_ms=first + 5000)
    assert again is not None, "after the resume it goes on"
    assert find_clip(caller, say[BOOKING].mulaw) is not None
    assert find_clip(caller, say[WHITENING].mulaw) is None, "what was said in the pause"
    ear_first, ear_again = (
        find_clip(call.report.left, say[PARKING].mulaw),
        find_clip(
            call.report.left, say[PARKING].mulaw, after_ms=5000 + (find_clip(call.report.left, say[PARKING].mulaw) or 0)
        ),
    )
    assert ear_first is not None
    assert ear_again is not None
    assert again - first == pytest.approx(ear_again - ear_first, abs=100)


def test_without_a_key_nothing_is_recorded_and_that_is_counted() -> None:
    metrics = Metrics()
    recordings = Recordings(None, metrics, lambda: datetime.now(UTC))
    record = CallRecord(call_sid="CA1", tenant_id=TENANT.id, caller="", started_at=0.0)
    assert recordings.recorder(RECORDED, record, lambda: 0.0) is None
    assert 'frontdesk_recordings_total{fate="no_key"} 1.0' in metrics.exposition().decode()


def test_a_tenant_that_does_not_record_has_no_recorder_and_says_no_sentence() -> None:
    metrics = Metrics()
    silent = RECORDED.model_copy(update={"recording": RecordingRule()})
    record = CallRecord(call_sid="CA1", tenant_id=TENANT.id, caller="", started_at=0.0)
    assert Recordings(None, metrics, lambda: datetime.now(UTC)).recorder(silent, record, lambda: 0.0) is None
    assert Metrics.total(metrics.recordings) == 0
    assert silent.opening_words == TENANT.greeting
    assert RECORDED.opening_words == f"{TENANT.greeting} {CONSENT}"


def test_a_document_that_records_without_saying_so_is_refused() -> None:
    with pytest.raises(ValidationError, match="recording_consent"):
        Tenant.model_validate(RECORDED.model_dump(by_alias=True) | {"recording_consent": " "})


@pytest.mark.parametrize(
    ("heard", "enough"),
    [
        (["Hello. This call is recorded. How can I help?"], True),
        (["hello this call is recorded"], True),
        (["Hello. This call is"], False),
        (["Hello. This call", "is recorded."], False),
        ([], False),
    ],
)
def test_consent_is_the_sentence_as_it_was_heard(heard: list[str], enough: bool) -> None:
    assert was_heard(CONSENT, heard) is enough
    assert was_heard("", heard) is False


async def test_a_caller_who_hangs_up_before_the_sentence_was_heard_is_not_recorded(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with recording_stage(tmp_path, speech, secret_key=SECRET) as on:
        call = await on.call([Wait(2), Press("1"), HangUp()])
        assert fates(on) == {"no_consent": 1.0}
    assert not RecordingFiles(cache_dir(speech)).path(TENANT.id, call.report.call_sid, 0).exists()


def test_the_wav_has_the_caller_on_the_left_and_the_agent_on_the_right() -> None:
    caller, agent = g711.encode(np.full(80, 1000, np.int16)), g711.encode(np.full(80, -3000, np.int16))
    with wave.open(io.BytesIO(head(80) + interleaved(caller + agent))) as read:
        assert (read.getnchannels(), read.getframerate(), read.getsampwidth(), read.getnframes()) == (2, 8000, 2, 80)
        samples = np.frombuffer(read.readframes(80), "<i2").reshape(-1, 2)
    assert np.array_equal(samples[:, 0], g711.decode(caller))
    assert np.array_equal(samples[:, 1], g711.decode(agent))


async def test_whoever_records_is_told_of_each_key_as_it_comes(autojump_clock: trio.testing.MockClock) -> None:
    keys_send, keys = trio.open_memory_channel[Dtmf](9)
    inbox, heard = trio.open_memory_channel[FloorEvent](9)
    line: Any = SimpleNamespace(controls=keys, lost=LineLost("hang_up"))
    told: list[int] = []
    for digit in "12":
        keys_send.send_nowait(Dtmf("MZ1", digit))
    keys_send.close()
    with heard, pytest.raises(LineLost):
        await run_ingress(line=line, inbox=inbox, on_key=lambda: told.append(heard.statistics().current_buffer_used))
    assert told == [0, 1], "each before the floor's holder hears of it"
