"""What a second of a call costs in the parts of the fast path that need neither socket nor loop, one case each.

The work alone is timed, without its input. A case's function does one call-second: 50 frames in, or what is spoken in
a second out. State goes on from second to second, as it does in a call.
"""

import itertools
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import trio
from numpy.typing import NDArray

from engine.audio import g711
from engine.audio.g711 import FRAME_BYTES
from engine.audio.jitter_buffer import JitterBuffer
from engine.audio.pacer import Mark, Pacer
from engine.audio.resample import Resampler
from engine.audio.speech import SpeechDetector
from engine.audio.vad import WebRtcVad
from engine.audio.windows import WindowBuilder
from engine.messages import FloorEvent
from engine.metrics import Metrics
from engine.telephony.jitter import CallerAudioGate
from engine.wire import gemini_live
from engine.wire.twilio_media import MediaStreamDecoder, MediaStreamEncoder
from engine.wire.websocket import Role, WebSocketCodec

FRAMES = 50  # a second, 20 ms each
TICKS = 200  # of the media plane, 5 ms each
WINDOW_MS = 100
CHUNK_MS = 40  # of the model's answers
STREAM = "MZ" + "0" * 32

Second = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Case:
    """One piece of the fast path.

    Attributes:
        pieces: how many of its own units a call-second has: frames, messages, windows.
        make: prepares the input and gives what is to be timed.
    """

    says: str
    pieces: int
    make: Callable[[], Second]


def speech(seconds: int = 2) -> bytes:
    """Mu-law of something like a voice: harmonics of 120 Hz for 700 ms of each second, soft noise for the rest."""
    at = np.arange(8000 * seconds) / 8000
    source = np.random.default_rng(1)
    voice = sum(np.sin(2 * np.pi * 120 * k * at) / k for k in range(1, 20)) * (1 + np.sin(2 * np.pi * 5 * at))
    loud = (at % 1.0) < 0.7
    pcm = np.where(loud, 4000 * voice, 20 * source.standard_normal(at.size))
    return g711.encode(np.clip(pcm, -32000, 32000).astype(np.int16))


def _frames(mulaw: bytes) -> list[bytes]:
    return [mulaw[start : start + FRAME_BYTES] for start in range(0, len(mulaw), FRAME_BYTES)]


def _decode() -> Second:
    frames = _frames(speech(1))

    def second() -> None:
        for frame in frames:
            g711.decode(frame)

    return second


def _encode() -> Second:
    frames = [g711.decode(frame) for frame in _frames(speech(1))]

    def second() -> None:
        for frame in frames:
            g711.encode(frame)

    return second


def _resample(source_hz: int, target_hz: int, chunk_ms: int) -> Second:
    size = source_hz * chunk_ms // 1000
    source = np.random.default_rng(1)
    chunks: list[NDArray[np.int16]] = [
        source.integers(-8000, 8000, size, dtype=np.int16) for _ in range(1000 // chunk_ms)
    ]
    process = Resampler(source_hz, target_hz).process

    def second() -> None:
        for chunk in chunks:
            process(chunk)

    return second


def _jitter() -> Second:
    frames, buffer, at_ms = _frames(speech(1)), JitterBuffer(), itertools.count(0, 20)

    def second() -> None:
        for frame in frames:
            ms = next(at_ms)
            buffer.insert(ms, frame, ms / 1000)
            buffer.take(ms / 1000)

    return second


def _pacer() -> Second:
    """The agent speaks all the time; each of the plane's ticks asks what is due, and marks come back."""
    pacer, tick = Pacer(), itertools.count()
    chunk = speech(1)[: CHUNK_MS * g711.BYTES_PER_MS]

    def second() -> None:
        for _ in range(TICKS):
            at = next(tick)
            now = at / TICKS
            if at % (CHUNK_MS * TICKS // 1000) == 0:
                pacer.push(1, chunk, now)
            for send in pacer.due(now):
                if isinstance(send, Mark):
                    pacer.on_mark(send.name, now)

    return second


def _media_message(frame: bytes, number: int) -> bytes:
    payload = MediaStreamEncoder(STREAM).media(frame).partition(b'"payload":"')[2].partition(b'"')[0]
    return (
        b'{"event":"media","sequenceNumber":"%d","media":{"track":"inbound","chunk":"%d","timestamp":"%d",'
        b'"payload":"%s"},"streamSid":"%s"}'
    ) % (number + 3, number + 1, 20 * number, payload, STREAM.encode())


def _websocket_in() -> Second:
    client = WebSocketCodec(Role.CLIENT)
    sent = [client.text(_media_message(frame, number)) for number, frame in enumerate(_frames(speech(1)))]
    receive = WebSocketCodec(Role.SERVER).receive_data

    def second() -> None:
        for data in sent:
            receive(data)

    return second


def _websocket_out() -> Second:
    message = MediaStreamEncoder(STREAM).media(speech(1)[: WINDOW_MS * g711.BYTES_PER_MS])
    text = WebSocketCodec(Role.SERVER).text

    def second() -> None:
        for _ in range(1000 // WINDOW_MS):
            text(message)

    return second


def _media_in() -> Second:
    messages = [_media_message(frame, number) for number, frame in enumerate(_frames(speech(1)))]
    decoder = MediaStreamDecoder()
    decoder.receive(b'{"event":"connected","protocol":"Call","version":"1.0.0"}')
    decoder.receive(
        b'{"event":"start","streamSid":"%s","start":{"callSid":"CA1","accountSid":"AC1","streamSid":"%s",'
        b'"tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}}}'
        % (STREAM.encode(), STREAM.encode())
    )

    def second() -> None:
        for message in messages:
            decoder.receive(message)

    return second


def _media_out() -> Second:
    chunk, media = speech(1)[: WINDOW_MS * g711.BYTES_PER_MS], MediaStreamEncoder(STREAM).media

    def second() -> None:
        for _ in range(1000 // WINDOW_MS):
            media(chunk)

    return second


def listen_to(mulaw: bytes) -> Callable[[], list[FloorEvent]]:
    """The whole way of the caller's sound, from a media message's payload to windows and to what is noticed in it.

    The line looks at what has come as rarely as the gate allows; nothing goes on to a model.
    """
    frames, number = _frames(mulaw), itertools.count()
    inbox, events = trio.open_memory_channel[FloorEvent](math.inf)
    gate = CallerAudioGate(
        inbox=inbox,
        vad=WebRtcVad(),
        detector=SpeechDetector(),
        windows=WindowBuilder(WINDOW_MS),
        agent_sounding=lambda: False,
        metrics=Metrics(),
    )
    gate.open()
    look_at = 0.0

    def listen() -> list[FloorEvent]:
        nonlocal look_at
        for frame in frames:
            at_ms = 20 * next(number)
            gate.insert(at_ms, frame, at_ms / 1000)
            if at_ms / 1000 >= look_at:
                look_at = gate.pump(at_ms / 1000)
        noticed = []
        with suppress(trio.WouldBlock):
            while True:
                noticed.append(events.receive_nowait())
        return noticed

    return listen


def _windows() -> Second:
    frames, windows = _frames(speech(1)), WindowBuilder(WINDOW_MS)
    windows.open()

    def second() -> None:
        for frame in frames:
            windows.push(frame)

    return second


def _model_out() -> Second:
    window = Resampler(8000, 16000).process(g711.decode(speech(1)[: WINDOW_MS * g711.BYTES_PER_MS])).tobytes()

    def second() -> None:
        for _ in range(1000 // WINDOW_MS):
            gemini_live.audio_message(window)

    return second


def _model_in() -> Second:
    chunk = Resampler(8000, 24000).process(g711.decode(speech(1)[: CHUNK_MS * g711.BYTES_PER_MS])).tobytes()
    data = gemini_live.audio_message(chunk).partition(b'"data":"')[2].partition(b'"')[0]
    part = b'{"inlineData":{"mimeType":"audio/pcm;rate=24000","data":"%s"}}' % data
    message = b'{"serverContent":{"modelTurn":{"parts":[%s]}}}' % part

    def second() -> None:
        for _ in range(1000 // CHUNK_MS):
            gemini_live.decode(message)

    return second


CASES: Mapping[str, Case] = {
    "mulaw_decode": Case("mu-law to PCM16, a frame", FRAMES, _decode),
    "mulaw_encode": Case("PCM16 to mu-law, a frame", FRAMES, _encode),
    "resample_8_16": Case("8 to 16 kHz, a frame", FRAMES, lambda: _resample(8000, 16000, 20)),
    "resample_8_16_window": Case("8 to 16 kHz, a window", 1000 // WINDOW_MS, lambda: _resample(8000, 16000, WINDOW_MS)),
    "resample_24_8": Case("24 to 8 kHz, 40 ms", 1000 // CHUNK_MS, lambda: _resample(24000, 8000, CHUNK_MS)),
    "jitter_buffer": Case("placed and handed out, a frame", FRAMES, _jitter),
    "pacer": Case("asked what is due, a tick", TICKS, _pacer),
    "websocket_in": Case("a masked frame read", FRAMES, _websocket_in),
    "websocket_out": Case("a frame of 100 ms written", 1000 // WINDOW_MS, _websocket_out),
    "media_in": Case("a media message understood", FRAMES, _media_in),
    "media_out": Case("a media message of 100 ms", 1000 // WINDOW_MS, _media_out),
    "caller_speaks": Case("jitter, detector and windows, a frame of speech", FRAMES, lambda: listen_to(speech(1))),
    "caller_is_silent": Case("the same, a silent frame", FRAMES, lambda: listen_to(g711.silence(1000))),
    "windows": Case("frames into windows, a frame", FRAMES, _windows),
    "model_out": Case("a window written for the model", 1000 // WINDOW_MS, _model_out),
    "model_in": Case("40 ms of the model's answer understood", 1000 // CHUNK_MS, _model_in),
}
