"""A local session over a fake recogniser, dialogue and renderer: when it understands, what it says, what it drops."""

import pytest
import trio
import trio.testing

from engine.dialogue.acts import CallTool, Say
from engine.dialogue.phrases import PHRASES
from engine.messages import (
    Asked,
    CallerAudio,
    CallerTranscript,
    CommitTurn,
    Notes,
    NothingFound,
    ReportHeard,
    Speak,
    TimedOut,
    ToolCallRequested,
    ToolResult,
)
from engine.model.local_stream import ASK_AGAIN
from engine.model.provider import (
    AudioDelta,
    Interrupted,
    TurnComplete,
)
from engine.model.setup import notes_text
from tests.model.fake_speech import (
    END,
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
# --- understanding ---------------------------------------------------------------------------------------------------


async def test_nothing_is_made_of_half_a_sentence(autojump_clock: Clock) -> None:
    speech = FakeSpeech()
    async with local_session(speech, FakeMind()) as (stream, events):
        await stream.open_turn()
        await hear(stream, *[LOUD] * 30)
        assert speech.heard == []
        await stream.commit_turn(committed(1))
        told = await until_end(events)
    assert [event for event in told if isinstance(event, CallerTranscript)] == [
        CallerTranscript("30 words", final=True)
    ]


async def test_a_turn_that_goes_on_after_a_pause_is_understood_as_a_whole(autojump_clock: Clock) -> None:
    speech = FakeSpeech()
    async with local_session(speech, FakeMind()) as (stream, events):
        await stream.open_turn()
        await hear(stream, *[LOUD] * 5, *[QUIET] * 4)
        assert await anext(events) == CallerTranscript("5 words", final=False)
        await hear(stream, *[LOUD] * 5, *[QUIET] * 4)
        assert await anext(events) == CallerTranscript("10 words", final=False)
    assert len(speech.heard) == 2


async def test_words_of_a_caller_who_has_gone_on_meanwhile_are_not_told(autojump_clock: Clock) -> None:
    async with local_session(FakeSpeech(hear_s=0.35), FakeMind()) as (stream, events):
        await stream.open_turn()
        await hear(stream, *[LOUD] * 5, QUIET, QUIET, *[LOUD] * 5)
        await nothing_more(events)


async def test_a_pause_has_the_words_known_before_the_turn_is_committed(autojump_clock: Clock) -> None:
    speech = FakeSpeech()
    async with local_session(speech, FakeMind()) as (stream, events):
        await stream.open_turn()
        await hear(stream, LOUD, LOUD, LOUD, QUIET, QUIET)
        with trio.fail_after(0.2):
            assert await anext(events) == CallerTranscript("3 words", final=False)
        await hear(stream, QUIET, QUIET)
        began = trio.current_time()
        await stream.commit_turn(committed(1))
        assert await anext(events) == CallerTranscript("3 words", final=True)
        assert trio.current_time() == began
    assert len(speech.heard) == 1, "what is quiet needs no recognition of its own"


async def test_a_window_sent_early_is_taken_for_a_pause(autojump_clock: Clock) -> None:
    humming = bytes(0xEF if index % 2 else 0x6F for index in range(800))  # a noisy line: never quiet
    async with local_session(FakeSpeech(), FakeMind()) as (stream, events):
        await stream.open_turn()
        await hear(stream, LOUD, LOUD, humming, humming[:320])
        with trio.fail_after(0.2):
            assert await anext(events) == CallerTranscript("2 words", final=False)


async def test_one_job_runs_at_a_time_however_slow_it_is(autojump_clock: Clock) -> None:
    speech = FakeSpeech(hear_s=3.0)
    async with local_session(speech, FakeMind()) as (stream, events):
        await stream.open_turn()
        for _ in range(5):
            await hear(stream, *[LOUD] * 5, QUIET, QUIET)
        await stream.commit_turn(committed(1))
        told = await until_end(events)
    assert speech.most_at_work == 1
    assert len(speech.heard) == 2, "the second hears all that came while the first was at work"
    assert spoken(told) == "You said 25 words."


async def test_what_is_understood_of_a_turn_that_is_over_is_dropped(autojump_clock: Clock) -> None:
    speech, mind = FakeSpeech(hear_s=1.0), FakeMind()
    async with local_session(speech, mind) as (stream, events):
        await stream.open_turn()
        await hear(stream, *[LOUD] * 5, QUIET, QUIET)
        await stream.commit_turn(committed(1))
        await stream.open_turn()
        await hear(stream, *[LOUD] * 2)
        await stream.commit_turn(committed(2))
        assert await take(events, 2) == [Interrupted(), TurnComplete()]
        told = await until_end(events)
    assert [event.text for event in told if isinstance(event, CallerTranscript)] == ["2 words"]
    assert spoken(told) == "You said 2 words."
    assert mind.told == [("hear", "2 words")]


async def test_what_comes_after_the_commit_is_not_of_the_turn(autojump_clock: Clock) -> None:
    async with local_session(FakeSpeech(), FakeMind()) as (stream, events):
        await stream.open_turn()
        await hear(stream, LOUD)
        await stream.commit_turn(committed(1))
        await stream.send_audio(CallerAudio(LOUD))
        assert spoken(await until_end(events)) == "You said 1 words."


async def test_only_the_last_half_minute_of_a_turn_is_kept(autojump_clock: Clock) -> None:
    speech = FakeSpeech()
    async with local_session(speech, FakeMind()) as (stream, events):
        await stream.open_turn()
        await hear(stream, *[LOUD] * 350)
        await stream.commit_turn(committed(1))
        assert spoken(await until_end(events)) == "You said 300 words."
    assert max(map(len, speech.heard)) == 30 * 8000


async def test_a_turn_in_which_nothing_was_said_is_heard_as_nothing(autojump_clock: Clock) -> None:
    mind = FakeMind([Say("Pardon?")])
    async with local_session(FakeSpeech(), mind) as (stream, events):
        await stream.open_turn()
        await stream.commit_turn(committed(1))
        assert spoken(await until_end(events)) == "Pardon?"
    assert mind.told == [("hear", "")]


# --- answering -------------------------------------------------------------------------------------------------------


async def test_an_answer_goes_out_sentence_by_sentence(autojump_clock: Clock) -> None:
    mind = FakeMind([Say("We see Dr. Lee. Come at ten a.m. on Monday! Right?")])
    speech = FakeSpeech(say_s=0.5)
    async with local_session(speech, mind) as (stream, events):
        await stream.open_turn()
        await hear(stream, LOUD)
        await stream.commit_turn(committed(1, passage("one"), passage("two")))
        began = trio.current_time()
        told = await take(events, 3)
        assert trio.current_time() - began == pytest.approx(0.65), "the first is not held back for the others"
        told += await until_end(events)
    assert mind.told == [("hear", "1 words", "one", "two")]
    assert speech.said == ["We see Dr. Lee.", "Come at ten a.m. on Monday!", "Right?"]
    assert spoken(told) == "We see Dr. Lee. Come at ten a.m. on Monday! Right?"
    assert told[-2:] == END
    pieces = [event.mulaw for event in told if isinstance(event, AudioDelta)]
    assert [piece[:1] for piece in pieces] == [b"\x10", b"\xff", b"\xff"], "a pause stands between sentences"


async def test_what_could_not_be_looked_up_in_time_is_asked_for_again(autojump_clock: Clock) -> None:
    unknown = Say(PHRASES["unknown"][0])
    for outcome, said in ((TimedOut(1, "q", 250.0), ASK_AGAIN), (NothingFound(1, "q", 1.0), unknown.text)):
        async with local_session(FakeSpeech(), FakeMind([unknown])) as (stream, events):
            await stream.open_turn()
            await hear(stream, LOUD)
            await stream.commit_turn(CommitTurn(Asked(1), outcome))
            assert spoken(await until_end(events)) == said


async def test_told_to_say_and_to_answer_it_does_both_in_that_order(autojump_clock: Clock) -> None:
    mind = FakeMind([Say("It is free.")])
    notes = notes_text(Notes(1, "q", (passage("Parking is free."),), 1.0), "abc") or ""
    async with local_session(FakeSpeech(), mind) as (stream, events):
        await stream.speak(Speak(1, "Go on.", say="Welcome back.", answer="is parking free", notes=notes))
        assert spoken(await until_end(events)) == "Welcome back. It is free."
    assert mind.told == [("hear", "is parking free", "Parking is free.")]


async def test_a_tool_is_called_in_between(autojump_clock: Clock) -> None:
    mind = FakeMind([Say("One moment."), CallTool("c1", "book", {"day": "monday"})])
    async with local_session(FakeSpeech(), mind) as (stream, events):
        await stream.open_turn()
        await hear(stream, LOUD)
        await stream.commit_turn(committed(1))
        told = await take(events, 4)
        assert told[-1] == ToolCallRequested("c1", "book", {"day": "monday"})
        await nothing_more(events)  # the answer goes on when the result is there
        await stream.send_tool_result(ToolResult("c1", "book", {"status": "ok", "message": "Booked."}))
        told = await until_end(events)
    assert spoken(told) == "Booked."
    assert told[-2:] == END


async def test_a_result_with_nothing_to_say_ends_the_answer(autojump_clock: Clock) -> None:
    mind = FakeMind([CallTool("c1", "book", {})])
    mind.results = [()]
    async with local_session(FakeSpeech(), mind) as (stream, events):
        await stream.open_turn()
        await stream.commit_turn(committed(1))
        await anext(events)
        await stream.send_tool_result(ToolResult("c1", "book", {"status": "ok", "message": ""}))
        assert await until_end(events) == END


async def test_what_a_tool_brought_while_the_caller_spoke_is_said_before_their_answer(autojump_clock: Clock) -> None:
    mind = FakeMind([CallTool("c1", "book", {})])
    async with local_session(FakeSpeech(), mind) as (stream, events):
        await stream.open_turn()
        await stream.commit_turn(committed(1))
        await anext(events)
        await stream.open_turn()
        assert await take(events, 2) == [Interrupted(), TurnComplete()]
        await hear(stream, LOUD)
        await stream.send_tool_result(ToolResult("c1", "book", {"status": "ok", "message": "Booked."}))
        await stream.commit_turn(committed(2))
        assert spoken(await until_end(events)) == "Booked. You said 1 words."


# --- interrupted -----------------------------------------------------------------------------------------------------


async def test_a_caller_who_speaks_ends_the_answer(autojump_clock: Clock) -> None:
    mind = FakeMind([Say("First sentence here. Second sentence. Third.")])
    speech = FakeSpeech(say_s=0.5)
    async with local_session(speech, mind) as (stream, events):
        await stream.open_turn()
        await hear(stream, LOUD)
        await stream.commit_turn(committed(1))
        assert spoken(await take(events, 3)) == "First sentence here."
        await stream.open_turn()
        assert await take(events, 2) == [Interrupted(), TurnComplete()]
        await stream.report_heard(ReportHeard(1, 140.0))
        await hear(stream, LOUD, LOUD)
        await stream.commit_turn(committed(2))
        assert spoken(await until_end(events)) == "You said 2 words."
        await nothing_more(events)
    assert mind.told == [("hear", "1 words"), ("cut", "First sentence"), ("hear", "2 words")]
    assert "Third." not in speech.said


async def test_how_much_was_heard_is_told_of_the_utterance_that_was_cut(autojump_clock: Clock) -> None:
    mind = FakeMind([Say("One moment."), CallTool("c1", "book", {})])
    async with local_session(FakeSpeech(), mind) as (stream, events):
        await stream.open_turn()
        await stream.commit_turn(committed(1))
        await take(events, 3)
        await stream.send_tool_result(ToolResult("c1", "book", {"status": "ok", "message": "Booked. Come early."}))
        second = next(event for event in await until_end(events) if isinstance(event, AudioDelta))
        assert second.at_ms == 110.0, "where the first utterance ended"
        await stream.open_turn()
        await stream.report_heard(ReportHeard(2, 70.0 + 260.0 + 60.0, at_ms=second.at_ms))
    assert mind.told[-1] == ("cut", "Booked. Come")


async def test_an_answer_ends_though_an_earlier_one_still_waits_for_its_tool(autojump_clock: Clock) -> None:
    mind = FakeMind([CallTool("c1", "book", {})])
    async with local_session(FakeSpeech(), mind) as (stream, events):
        for turn_id in (1, 2):
            await stream.open_turn()
            await hear(stream, LOUD)
            await stream.commit_turn(committed(turn_id))
            await trio.sleep(1)
        told = [await until_end(events), await until_end(events)]
        assert told[0][-2:] == [Interrupted(), TurnComplete()]
        assert told[1][-2:] == END
        assert spoken(told[1]) == "You said 1 words."


async def test_what_was_ready_but_not_read_is_not_said(autojump_clock: Clock) -> None:
    async with local_session(FakeSpeech(), FakeMind([Say("One. Two. Three.")])) as (stream, events):
        await stream.open_turn()
        await hear(stream, LOUD)
        await stream.commit_turn(committed(1))
        await trio.sleep(5)
        await stream.open_turn()
        assert [type(event) for event in await take(events, 3)] == [CallerTranscript, Interrupted, TurnComplete]
        await nothing_more(events)
