"""What a speech process answers, with models that the test writes; no process is started."""

from io import BytesIO
from pathlib import Path

import pytest

from engine.errors import ConfigurationError
from engine.speech import pipe, process
from engine.speech.recogniser import Reading


class Model:
    """Recogniser and voice in one."""

    @classmethod
    def load(cls, *_: object) -> "Model":
        return cls()

    def read(self, mulaw: bytes, draft: bytes = b"") -> Reading:
        if mulaw == b"poison":
            raise ValueError("too much for me")
        return Reading(f"{mulaw.decode()} after {draft.decode()}", mulaw)

    def render_mulaw(self, text: str, pitch: float = 1.0) -> bytes:
        if text == "?!":
            raise ConfigurationError("cannot be said")
        return text.upper().encode()


@pytest.fixture(autouse=True)
def _model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "Recogniser", Model)
    monkeypatch.setattr(process, "OfflineVoice", Model)
    monkeypatch.setattr("os.nice", lambda _: 0)


def answers(*requests: bytes) -> list[tuple[bytes, bytes]]:
    """What comes back for these frames."""
    out = BytesIO()
    process.serve(BytesIO(b"".join(requests)), out, Path())
    content, frames = out.getvalue(), []
    while content:
        kind, size = pipe.HEAD.unpack_from(content)
        frames.append((kind, content[pipe.HEAD.size : pipe.HEAD.size + size]))
        content = content[pipe.HEAD.size + size :]
    return frames


def sound(mulaw: bytes, draft: bytes = b"") -> bytes:
    return pipe.frame(pipe.RECOGNISE, pipe.pair(draft, mulaw))


def test_process_says_first_that_it_is_ready() -> None:
    assert answers() == [(pipe.READY, b"")]


def test_sound_is_answered_with_draft_and_text() -> None:
    _, (kind, content) = answers(sound(b"new", b"old"))
    assert (kind, pipe.apart(content)) == (pipe.DONE, (b"new", b"new after old"))


def test_sound_that_breaks_the_model_ends_only_its_own_job() -> None:
    _, broken, fine = answers(sound(b"poison"), sound(b"new"))
    assert broken == (pipe.FAILED, b"ValueError('too much for me')")
    assert fine[0] == pipe.DONE


def test_text_in_which_nothing_can_be_spoken_is_no_sound() -> None:
    assert answers(pipe.frame(pipe.SAY, b"?!"), pipe.frame(pipe.SAY, b"yes"))[1:] == [
        (pipe.DONE, b""),
        (pipe.DONE, b"YES"),
    ]


def test_unknown_request_is_refused() -> None:
    assert answers(pipe.frame(b"x"))[1][0] == pipe.FAILED


@pytest.mark.parametrize("cut", [1, pipe.HEAD.size, pipe.HEAD.size + 3])
def test_request_that_breaks_off_ends_the_process(cut: int) -> None:
    assert answers(sound(b"new")[:cut]) == [(pipe.READY, b"")]


def test_weights_that_cannot_be_used_are_said_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Model:
        raise ConfigurationError("no weights")

    monkeypatch.setattr(Model, "load", refuse)
    assert answers() == [(pipe.FAILED, b"no weights")]
