"""A service of several workers, as it is run for real: killed, hung, replaced, with a caller on the line. Real time."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from engine.audio import g711
from engine.sim.brain import GroundedBrain
from engine.sim.ear import PhraseEar
from engine.sim.fleet import Fleet, comebacks_ms, open_fleet
from engine.sim.gemini import SimGemini
from engine.sim.report import PhoneReport
from engine.sim.scenario import Clip, HangUp, Listen, Moment, Say
from engine.sim.showcase import CachedVoice
from engine.tenants.tenant import KnowledgeNote
from engine.voice.cache import VoiceCache
from tests.calls import BOOK, TENANT, cache_dir

pytestmark = pytest.mark.real_time

PARK = "Where can I park?"
BOOK_ME = "Book me a cleaning, Monday at ten."
COMES_BACK_MS = 3000  # from the carrier's close to our first sound
SHORT = TENANT.model_copy(
    update={
        "greeting": "Harbor Dental.",
        "knowledge": (KnowledgeNote(source="Parking", text="Parking is free in the yard behind us."),),
    }
)


def model_of(said: dict[str, Clip], cache: VoiceCache) -> SimGemini:
    return SimGemini(
        ear=PhraseEar({text: g711.decode(clip.mulaw) for text, clip in said.items()}),
        brain=GroundedBrain(wishes={"book me a cleaning": BOOK}),
        voice=CachedVoice(cache),
    )


async def when_answering(fleet: Fleet, question: str, what: Callable[[str], None]) -> None:
    """As soon as the model answers that question: to the worker that has the call."""
    with trio.move_on_after(20):  # a machine that is too busy to hear: then in the middle of something else
        while not any(question in said.text for session in fleet.model.sessions for said in session.history):
            await trio.sleep(0.02)
    await trio.sleep(0.5)
    while not (busy := [worker for worker, calls in (await fleet.calls_of_workers()).items() if calls]):
        await trio.sleep(0.05)  # the page of a worker may be late
    what(busy[0])


async def test_a_call_goes_on_with_another_worker_when_its_own_is_killed(tmp_path: Path, speech: VoiceCache) -> None:
    said = {text: Clip(text, speech.mulaw(text, pitch=0.86)) for text in (PARK, BOOK_ME)}
    scenario: list[Moment] = [
        Listen(quiet_ms=300),
        Say(said[PARK]),
        Listen(quiet_ms=1200),
        Say(said[BOOK_ME]),
        Listen(quiet_ms=500),
        HangUp(),
    ]
    (tmp_path / "voice").symlink_to(cache_dir(speech) / "voice")
    reports: list[PhoneReport] = []
    killed: list[str] = []
    async with open_fleet(data_dir=tmp_path, tenant=SHORT, model=model_of(said, speech), workers=2) as fleet:

        def kill(worker: str) -> None:
            killed.append(worker)
            os.kill(fleet.pid(worker), signal.SIGKILL)

        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(when_answering, fleet, PARK, kill)
                reports.append(await fleet.call(scenario))
        (report,) = reports
        ends = await fleet.ends(report.call_sid)
        await fleet.wait_ready(2, but=killed)
    assert report.streams == 2
    assert report.how_ended == "caller_hung_up"
    assert report.said_by_static_verbs == ()
    assert report.protocol_faults == ()
    (comeback,) = comebacks_ms(report)
    assert comeback <= COMES_BACK_MS
    (end,) = ends
    caller = [line["text"] for line in end.document["transcript"] if line["role"] == "caller"]
    assert caller == [PARK, BOOK_ME]
    booked = [moment for moment in end.document["timeline"] if moment["kind"] == "tool_result"]
    assert len(booked) == 1, end.document["timeline"]
    assert fleet.supervisor.returncode == 130, "asked twice to end, as fleets are"
