"""The official SDK, which is asyncio only, talks to our simulator: what it understands is what Google would have said.

The simulator runs under trio in a thread of its own, with TLS, since the SDK dials nothing else.
"""

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import numpy as np
import pytest
import trio
import trustme
from google import genai
from google.genai import errors, types

from engine.sim.brain import GroundedBrain, ToolWish
from engine.sim.ear import ToneEar
from engine.sim.gemini import SimGemini
from engine.sim.moods import GoAway, Refuse, Rule
from engine.sim.tones import ToneVoice, identify, tone_clip

NOTES = "[reference notes k begin]\n(1) source: a\nWe open at nine.\n[reference notes k end]"
QUESTION = tone_clip(17, 400, 16000)
BOOKING = tone_clip(99, 400, 16000)
MODEL = "models/gemini-3.8-live"


@contextmanager
def served(sim: SimGemini) -> Iterator[genai.Client]:
    """A client of the SDK for this simulator."""
    authority = trustme.CA()
    server, client = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    started, urls, stops = threading.Event(), list[str](), list[Callable[[], None]]()

    async def run() -> None:
        async with trio.open_nursery() as nursery:

            async def serve(task_status: trio.TaskStatus[str]) -> None:
                await sim.serve(ssl_context=server, task_status=task_status)

            urls.append(await nursery.start(serve))
            token = trio.lowlevel.current_trio_token()
            stops.append(lambda: token.run_sync_soon(nursery.cancel_scope.cancel))
            started.set()

    thread = threading.Thread(target=trio.run, args=(run,))
    thread.start()
    try:
        assert started.wait(5)
        options = types.HttpOptions(
            base_url=f"https://localhost:{urls[0].rsplit(':', 1)[1]}", async_client_args={"ssl": client}
        )
        yield genai.Client(api_key="x", http_options=options)
    finally:
        for stop in stops:
            stop()
        thread.join(5)
    assert not thread.is_alive()


def simulator(*rules: Rule, ms_per_word: int = 40) -> SimGemini:
    brain = GroundedBrain({"tone 99": ToolWish("book_appointment", {"day": "tomorrow"})})
    voice = ToneVoice(ms_per_word)
    return SimGemini(ear=ToneEar(), brain=brain, voice=voice, pace=20.0, think_ms=10, rules=rules, api_key="x")


def config(**more: Any) -> types.LiveConnectConfig:
    detection = types.AutomaticActivityDetection(disabled=True)
    booking = types.FunctionDeclaration(name="book_appointment", behavior=types.Behavior.BLOCKING)
    told: dict[str, Any] = {
        "response_modalities": [types.Modality.AUDIO],
        "system_instruction": "You are a receptionist.",
        "speech_config": types.SpeechConfig(
            voice_config=types.VoiceConfig(prebuilt_voice_config=types.PrebuiltVoiceConfig(voice_name="Kore"))
        ),
        "tools": [types.Tool(function_declarations=[booking])],
        "realtime_input_config": types.RealtimeInputConfig(automatic_activity_detection=detection),
        "input_audio_transcription": types.AudioTranscriptionConfig(),
        "output_audio_transcription": types.AudioTranscriptionConfig(),
        "session_resumption": types.SessionResumptionConfig(),
        "context_window_compression": types.ContextWindowCompressionConfig(
            trigger_tokens=20000, sliding_window=types.SlidingWindow(target_tokens=10000)
        ),
    }
    return types.LiveConnectConfig(**told | more)


async def speak(live: Any, pcm: Any, notes: str | None = None) -> None:
    await live.send_realtime_input(activity_start=types.ActivityStart())
    for at in range(0, len(pcm), 1600):
        blob = types.Blob(data=pcm[at : at + 1600].tobytes(), mime_type="audio/pcm;rate=16000")
        await live.send_realtime_input(audio=blob)
    if notes is not None:
        await live.send_realtime_input(text=notes)
    await live.send_realtime_input(activity_end=types.ActivityEnd())


async def messages(live: Any) -> AsyncIterator[types.LiveServerMessage]:
    """Everything that comes; ``receive`` itself ends with each turn."""
    while True:
        async for message in live.receive():
            yield message


async def until_handle(live: Any) -> tuple[list[types.LiveServerMessage], str]:
    """A whole turn, and the handle after it."""
    got: list[types.LiveServerMessage] = []
    async for message in messages(live):
        got.append(message)
        update = message.session_resumption_update
        if update is not None and update.resumable and update.new_handle:
            return got, update.new_handle
    raise AssertionError("unreachable: messages() never ends by itself")


def texts(got: list[types.LiveServerMessage], kind: str) -> str:
    found = [getattr(one.server_content, kind) for one in got if one.server_content is not None]
    return "".join(one.text or "" for one in found if one is not None)


def sound(got: list[types.LiveServerMessage]) -> int | None:
    return identify(np.frombuffer(b"".join(one.data or b"" for one in got), "<i2"), 24000)


@asynccontextmanager
async def at_most(seconds: float) -> AsyncIterator[None]:
    async with asyncio.timeout(seconds):
        yield


def run(sim: SimGemini, scenario: Callable[[genai.Client], Awaitable[None]]) -> None:
    async def main(client: genai.Client) -> None:
        async with at_most(6):
            await scenario(client)

    with served(sim) as client:
        asyncio.run(main(client))


def test_the_sdk_hears_answers_with_transcripts_and_resumes() -> None:
    sim = simulator()

    async def scenario(client: genai.Client) -> None:
        async with client.aio.live.connect(model=MODEL, config=config()) as live:
            await speak(live, QUESTION, NOTES)
            got, handle = await until_handle(live)
        assert texts(got, "input_transcription") == " tone 17"
        assert texts(got, "output_transcription") == "We open at nine."
        assert sound(got) == ToneVoice.index_of("We open at nine.")
        assert any(one.server_content and one.server_content.generation_complete for one in got)
        [usage] = [one.usage_metadata for one in got if one.usage_metadata]
        assert usage.response_tokens_details is not None
        assert usage.response_tokens_details[0].modality == types.MediaModality.AUDIO
        [activity] = [one.voice_activity for one in got if one.voice_activity]
        assert activity.voice_activity_type == types.VoiceActivityType.ACTIVITY_END
        resuming = config(session_resumption=types.SessionResumptionConfig(handle=handle))
        async with client.aio.live.connect(model=MODEL, config=resuming) as live:
            await speak(live, np.zeros(0, np.int16), "Please answer the caller's last words now.")
            got, _ = await until_handle(live)
        assert texts(got, "output_transcription") == "We open at nine."

    run(sim, scenario)
    assert sim.protocol_faults == []
    assert [one.resumed for one in sim.sessions] == [False, True]
    assert sim.sessions[0].commits[0].notes_in_activity


def test_the_sdk_is_asked_for_a_tool_and_answers() -> None:
    sim = simulator()

    async def scenario(client: genai.Client) -> None:
        async with client.aio.live.connect(model=MODEL, config=config()) as live:
            await speak(live, BOOKING)
            async for message in messages(live):
                if message.tool_call is not None:
                    break
            assert message.tool_call is not None
            [call] = message.tool_call.function_calls or []
            assert (call.name, call.args) == ("book_appointment", {"day": "tomorrow"})
            answer = types.FunctionResponse(id=call.id, name=call.name, response={"message": "You are booked."})
            await live.send_tool_response(function_responses=[answer])
            got, _ = await until_handle(live)
        assert texts(got, "output_transcription") == "You are booked."

    run(sim, scenario)
    assert sim.protocol_faults == []
    assert sim.sessions[0].tool_answers[0].response == {"message": "You are booked."}


def test_the_sdk_interrupts_seeds_history_and_is_told_to_go() -> None:
    sim = simulator(Rule(GoAway(time_left_s=0.3), connection=1, turn=2), ms_per_word=400)
    earlier: list[types.Content | types.ContentDict] = [
        types.Content(role="user", parts=[types.Part(text=NOTES)]),
        types.Content(role="user", parts=[types.Part(text="When do you open?")]),
    ]

    async def scenario(client: genai.Client) -> None:
        seeding = config(history_config=types.HistoryConfig(initial_history_in_client_content=True))
        async with client.aio.live.connect(model=MODEL, config=seeding) as live:
            await live.send_client_content(turns=earlier, turn_complete=True)
            await speak(live, np.zeros(0, np.int16), "Please answer the caller's last words now.")
            stream = messages(live)
            async for message in stream:
                if message.data:
                    break
            await live.send_realtime_input(activity_start=types.ActivityStart())
            async for message in messages(live):
                if message.server_content is not None and message.server_content.interrupted:
                    break
            await live.send_realtime_input(activity_end=types.ActivityEnd())
            async for message in messages(live):
                if message.go_away is not None:
                    break
            assert message.go_away is not None
            assert message.go_away.time_left == "0.3s"
            with pytest.raises(errors.APIError) as closed:
                async for _ in messages(live):
                    pass
            assert closed.value.code == 1011

    run(sim, scenario)
    assert sim.protocol_faults == []
    assert sim.sessions[0].spoken[0].interrupted


def test_the_sdk_under_automatic_detection_is_answered_too() -> None:
    sim = simulator()

    async def scenario(client: genai.Client) -> None:
        automatic = config(realtime_input_config=types.RealtimeInputConfig())
        async with client.aio.live.connect(model=MODEL, config=automatic) as live:
            blob = types.Blob(data=QUESTION.tobytes(), mime_type="audio/pcm;rate=16000")
            await live.send_realtime_input(audio=blob)
            await live.send_realtime_input(audio_stream_end=True)
            got, _ = await until_handle(live)
        assert texts(got, "input_transcription") == " tone 17"
        assert "written down" in texts(got, "output_transcription")

    run(sim, scenario)
    assert sim.protocol_faults == []


def test_a_refusal_reaches_the_sdk_as_its_own_error() -> None:
    sim = simulator(Rule(Refuse("close", code=1008)))

    async def scenario(client: genai.Client) -> None:
        with pytest.raises(errors.APIError) as refused:
            async with client.aio.live.connect(model=MODEL, config=config()):
                pass
        assert refused.value.code == 1008
        affectionate = config(enable_affective_dialog=True)
        with pytest.raises(errors.APIError) as refused:
            async with client.aio.live.connect(model=MODEL, config=affectionate):
                pass
        assert refused.value.code == 1007

    run(sim, scenario)
    assert [fault.code for fault in sim.protocol_faults] == [1007]
