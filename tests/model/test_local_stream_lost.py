"""A local session that is asked the same again, and one that fails: nothing is decided twice, nothing left behind."""

import pytest
import trio
import trio.testing

from engine.dialogue.acts import CallTool
from engine.errors import MisuseError, ModelGarbled, ModelLost, ModelRefused
from engine.messages import (
    CallerAudio,
    Speak,
    ToolResult,
)
from engine.model.provider import (
    AudioDelta,
    Interrupted,
    TranscriptDelta,
    TurnComplete,
)
from engine.sim.leaks import watched
from tests.model.fake_speech import (
    LOUD,
    QUIET,
    FakeMind,
    FakeSpeech,
    committed,
    hear,
    local_session,
    nothing_more,
    passage,
    spoken,
    take,
    until_end,
)

Clock = trio.testing.MockClock

# --- asked again -----------------------------------------------------------------------------------------------------


async def test_a_turn_that_is_asked_again_is_recognised_and_heard_once(autojump_clock: Clock) -> None:
    speech, mind = FakeSpeech(hear_s=1.0, say_s=1.0), FakeMind()
    async with local_session(speech, mind) as (stream, events):
        for wait_s in (1.5, 0.0):  # the first time the answer is being rendered; then asked again
            await stream.open_turn()
            for window in (LOUD, QUIET):
                await stream.send_audio(CallerAudio(window))
            await stream.commit_turn(committed(1))
            await trio.sleep(wait_s)
        told = await until_end(events)
        told = await until_end(events)
    assert len(speech.heard) == 1
    assert mind.told == [("hear", "1 words")]
    assert spoken(told) == "You said 1 words."


async def test_asked_again_for_what_came_of_a_tool_it_says_that_again(autojump_clock: Clock) -> None:
    mind = FakeMind([CallTool("c1", "book", {})])
    async with local_session(FakeSpeech(), mind) as (stream, events):
        await stream.open_turn()
        await stream.commit_turn(committed(1))
        await anext(events)
        await stream.send_tool_result(ToolResult("c1", "book", {"status": "ok", "message": "Booked."}))
        await stream.speak(Speak(1, "[result of the tool book] ... Tell the caller now what came of it."))
        assert await take(events, 2) == [Interrupted(), TurnComplete()]
        assert spoken(await until_end(events)) == "Booked."


async def test_an_answer_of_which_nothing_sounded_is_told_to_be_unheard(autojump_clock: Clock) -> None:
    mind = FakeMind()
    async with local_session(FakeSpeech(), mind) as (stream, _events):
        for turn_id in (1, 2):
            await stream.open_turn()
            await hear(stream, LOUD)
            await stream.commit_turn(committed(turn_id))
            await trio.sleep(1)
    assert mind.told == [("hear", "1 words"), ("cut", ""), ("hear", "1 words")]


async def test_an_answer_that_was_complete_is_not_interrupted_afterwards(autojump_clock: Clock) -> None:
    async with local_session(FakeSpeech(), FakeMind()) as (stream, events):
        await stream.open_turn()
        await hear(stream, LOUD)
        await stream.commit_turn(committed(1))
        await until_end(events)
        await stream.open_turn()
        await nothing_more(events)


# --- failing ---------------------------------------------------------------------------------------------------------


async def test_what_fails_in_speech_loses_the_session_with_one_plain_exception(autojump_clock: Clock) -> None:
    speech = FakeSpeech()
    with watched() as watch:
        with pytest.raises(ModelLost, match="died"):  # noqa: PT012 - it comes from leaving it
            async with local_session(speech, FakeMind()) as (stream, events):
                speech.fails = ModelLost("a process died")
                await stream.open_turn()
                await hear(stream, *[LOUD] * 12, QUIET, QUIET, QUIET, QUIET)
                with pytest.raises(ModelLost, match="died"):
                    await stream.send_audio(CallerAudio(LOUD))
                await anext(events)
        assert watch.of_calls() == []
    assert speech.places == 1


async def test_a_dialogue_that_fails_costs_the_session_and_no_more(autojump_clock: Clock) -> None:
    mind = FakeMind()
    mind.hear = lambda *_: next(iter(()))  # type: ignore[method-assign]
    with pytest.raises(ModelGarbled, match="StopIteration") as lost:  # noqa: PT012 - it comes from leaving it
        async with local_session(FakeSpeech(), mind) as (stream, events):
            await stream.open_turn()
            await stream.commit_turn(committed(1))
            await anext(events)
    assert not lost.value.resumable


async def test_a_call_too_many_is_refused(autojump_clock: Clock) -> None:
    speech = FakeSpeech(places=1)
    async with local_session(speech, FakeMind()):
        with pytest.raises(ModelRefused):
            async with local_session(speech, FakeMind()):
                pytest.fail("there was no place")
    assert speech.places == 1


async def test_a_turn_cannot_be_committed_against_the_rules(autojump_clock: Clock) -> None:
    async with local_session(FakeSpeech(), FakeMind()) as (stream, _events):
        with pytest.raises(MisuseError):
            await stream.commit_turn(committed(1))
        await stream.open_turn()
        with pytest.raises(MisuseError):
            await stream.commit_turn(committed(1, passage("x", tenant_id="other")))
        for again in (stream.open_turn(), stream.speak(Speak(1, "x", "x"))):
            with pytest.raises(MisuseError):
                await again


async def test_no_task_outlives_a_session_that_is_left(autojump_clock: Clock) -> None:
    speech = FakeSpeech(hear_s=100)
    with watched() as watch:
        with trio.move_on_after(5) as patience:
            async with local_session(speech, FakeMind()) as (stream, events):
                await stream.open_turn()
                await hear(stream, *[LOUD] * 12, QUIET, QUIET, QUIET, QUIET)
                await anext(events)
        assert patience.cancelled_caught
        assert watch.of_calls() == []
    assert speech.places == 1


def test_every_sentence_has_its_text_with_its_sound() -> None:
    assert spoken([AudioDelta(b"x"), TranscriptDelta("A. ")]) == "A."
