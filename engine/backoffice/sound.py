"""Sound as browsers play it: mu-law at 8 kHz as a WAV file of 16-bit samples."""

import io
import wave

from quart import Response

from engine.audio import g711

WAV = "audio/wav"


def wav_of(mulaw: bytes) -> bytes:
    """A whole WAV file, mono."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(g711.SAMPLE_RATE_HZ)
        out.writeframes(g711.decode(mulaw).astype("<i2").tobytes())
    return file.getvalue()


def wav_response(mulaw: bytes) -> Response:
    """To be played, not kept by anybody on the way."""
    return Response(wav_of(mulaw), content_type=WAV, headers={"cache-control": "private, no-store"})
