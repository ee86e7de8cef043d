"""Gemini Live's most frequent message, read in one go: sound of the model, and nothing else.

Its base64 is decoded where its JSON is, which costs a fifth of doing one after the other. What is not exactly of that
shape is not judged here: ``gemini_live.decode`` reads it, and a test holds the two against each other.
"""

import msgspec


class _Blob(msgspec.Struct, forbid_unknown_fields=True, rename="camel", gc=False):
    mime_type: str
    data: bytes


class _Part(msgspec.Struct, forbid_unknown_fields=True, rename="camel", gc=False):
    inline_data: _Blob


class _Turn(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    parts: list[_Part]
    role: str | None = None  # "model", of course


class _Content(msgspec.Struct, forbid_unknown_fields=True, rename="camel", gc=False):
    model_turn: _Turn


class _Message(msgspec.Struct, forbid_unknown_fields=True, rename="camel", gc=False):
    server_content: _Content


_decode = msgspec.json.Decoder(_Message).decode


def sound_alone(message: bytes) -> list[tuple[str, bytes]] | None:
    """MIME type and whole samples of each part with any; None where there is anything else in it, or anything amiss."""
    try:
        parts = _decode(message).server_content.model_turn.parts
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    sound = []
    for part in parts:
        blob = part.inline_data
        if len(blob.data) % 2 or not blob.mime_type.startswith("audio/"):
            return None
        if blob.data:
            sound.append((blob.mime_type, blob.data))
    return sound
