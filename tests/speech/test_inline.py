"""Real speech in the test's own thread, where the virtual clock waits for it."""

import pytest
import trio

from bench.local_speech_words import plain
from engine.speech.inline import InlineSpeech
from engine.speech.interface import Speech
from engine.speech.recogniser import Recogniser

TEXT = "Hi there, is there somewhere I can park?"


async def test_what_is_said_is_understood_in_no_time_at_all(
    inline_speech: InlineSpeech, autojump_clock: trio.testing.MockClock
) -> None:
    speech: Speech = inline_speech
    began_at = trio.current_time()
    with speech.admit():
        assert plain(await speech.recognise(await speech.say(TEXT))) == plain(TEXT)
    assert trio.current_time() == began_at


async def test_text_in_which_nothing_can_be_spoken_is_no_sound(inline_speech: InlineSpeech) -> None:
    assert await inline_speech.say("?!") == await inline_speech.say(" ") == b""


async def test_growing_sound_is_read_with_the_draft_of_before(
    inline_speech: InlineSpeech, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = await inline_speech.say(TEXT)
    drafts: list[bytes] = []
    read = Recogniser.read

    def noted(recogniser: Recogniser, mulaw: bytes, draft: bytes = b"") -> object:
        drafts.append(draft)
        return read(recogniser, mulaw, draft)

    monkeypatch.setattr(Recogniser, "read", noted)
    monkeypatch.setattr(inline_speech, "_drafts", type(inline_speech._drafts)())
    await inline_speech.recognise(sound[: len(sound) // 2])
    await inline_speech.recognise(sound)
    assert drafts[0] == b""
    assert drafts[1]
