"""The TwiML that Frontdesk answers with: connect, say, dial, record, hang up.

Built by the carrier's own library, which escapes; this file keeps the carrier's rules that the library does not know.
"""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from twilio.twiml.voice_response import Connect, Dial, Hangup, Record, Say, Stream, VoiceResponse

from engine.errors import MisuseError

MAX_PARAMETER = 499  # characters of name and value together
MAX_RECORDING_S = 120
DIAL_TIMEOUT_S = 20
_DIAL_TIMEOUTS_S = range(5, 601)
_PAUSE_ENDS_RECORDING_S = 5
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def connect_stream(*, stream_url: str, action_url: str, status_callback_url: str, parameters: Mapping[str, str]) -> str:
    """Connect the call to our media websocket; when that ends, for whatever reason, ``action_url`` is asked.

    Args:
        stream_url: absolute, ``wss`` (``ws`` only where the carrier is a simulator), without query.
        parameters: come back as ``custom_parameters`` of the stream's start.

    Raises:
        MisuseError: a URL that the carrier refuses, or a parameter of 500 characters or more.
    """
    url = urlsplit(stream_url)
    if url.scheme not in {"ws", "wss"} or not url.netloc or "@" in url.netloc or url.query or url.fragment:
        raise MisuseError("a stream URL is wss://host/path, with neither user nor query")
    stream = Stream(url=stream_url, status_callback=status_callback_url, status_callback_method="POST")
    for name, value in parameters.items():
        if not name or len(name) + len(value) > MAX_PARAMETER:
            raise MisuseError(f"stream parameter {name[:50]!r}: name and value have to stay below 500 characters")
        if _NOT_XML.search(name + value):
            raise MisuseError(f"stream parameter {name[:50]!r} has characters that XML cannot carry")
        stream.parameter(name=name, value=value)
    return _document(Connect(action=action_url, method="POST").append(stream))


def hang_up() -> str:
    """End the call."""
    return _document(Hangup())


def empty() -> str:
    """Nothing: the answer to a status callback; as the answer to a call it ends it."""
    return _document()


def say_and_hang_up(text: str, language: str) -> str:
    """Say one thing in the carrier's own voice, then end the call."""
    return _document(_say(text, language), Hangup())


def static_script(
    *, apology: str, language: str, person: str | None, dial_action_url: str, recording_action_url: str
) -> str:
    """The call's last resort, which needs no media of ours: apologise, then dial ``person`` or else record a message.

    What comes after the dialled leg is asked of ``dial_action_url``, after the recording of ``recording_action_url``.
    """
    if person is not None:
        return _document(_say(apology, language), _dial(person, dial_action_url, DIAL_TIMEOUT_S))
    return _document(_say(apology, language), _record(recording_action_url, MAX_RECORDING_S), Hangup())


def dial(*, number: str, action_url: str, timeout_s: int = DIAL_TIMEOUT_S) -> str:
    """Put the caller through to a number; ``action_url`` is asked how to go on, with ``DialCallStatus``.

    Raises:
        MisuseError: ``timeout_s`` outside 5 to 600.
    """
    return _document(_dial(number, action_url, timeout_s))


def record_message(prompt: str, language: str, action_url: str, max_length_s: int = MAX_RECORDING_S) -> str:
    """Say a prompt, record after a beep until a key, a pause or ``max_length_s``, then ask ``action_url``.

    Where nothing at all was said the call ends.
    """
    return _document(_say(prompt, language), _record(action_url, max_length_s), Hangup())


def _document(*verbs: object) -> str:
    response = VoiceResponse()
    for verb in verbs:
        if verb is not None:
            response.append(verb)
    return str(response)


def _say(text: str, language: str) -> object:
    """None where nothing speakable is left."""
    words = _NOT_XML.sub("", text).strip()
    return Say(words, language=language) if words else None


def _dial(number: str, action_url: str, timeout_s: int) -> object:
    if timeout_s not in _DIAL_TIMEOUTS_S:
        raise MisuseError(f"a dial timeout of {timeout_s} s; the carrier takes 5 to 600")
    leg = Dial(action=action_url, method="POST", timeout=timeout_s)
    leg.number(number)
    return leg


def _record(action_url: str, max_length_s: int) -> object:
    # The carrier's default action is the current document: without one of our own it would record for ever.
    return Record(
        action=action_url, method="POST", max_length=max_length_s, timeout=_PAUSE_ENDS_RECORDING_S, play_beep=True
    )
