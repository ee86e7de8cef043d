"""What was heard of an OpenAI Realtime model, and what it heard, against a strict scripted server."""

import pytest
import trio
import trio.testing

from engine.messages import (
    CallerTranscript,
    ReportHeard,
    Speak,
)
from engine.model.provider import (
    AudioDelta,
    GenerationComplete,
    TextDelta,
    TurnComplete,
)
from tests.model.fake_openai import FakeOpenAI
from tests.model.openai_open import Connect, at_once, nothing_more, opened, take, text_of
from tests.model.running import run_over

Clock = trio.testing.MockClock


# --- what was heard --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("heard_ms", "told_ms"), [(60.0, 60), (60.9, 60), (0.4, None), (0.0, None)])
async def test_the_item_that_was_sounding_is_cut_to_what_was_heard(
    connect_to: Connect, heard_ms: float, told_ms: int | None, autojump_clock: Clock
) -> None:
    async with opened(connect_to) as (stream, fake):
        await stream.speak(Speak(0, "Greet."))
        await fake.expect()
        await fake.create("r1")
        await fake.piece("r1", bytes(800))
        await take(stream, 1)
        await stream.report_heard(ReportHeard(1, heard_ms, at_ms=0.0))
        mended = await fake.expect()
        if told_ms is None:
            assert (mended["type"], mended["item_id"]) == ("conversation.item.delete", "item_r1")
        else:
            assert (mended["type"], mended["item_id"]) == ("conversation.item.truncate", "item_r1")
            assert mended["audio_end_ms"] == told_ms
        await stream.report_heard(ReportHeard(1, heard_ms, at_ms=0.0))  # said twice
        await nothing_more(fake)
        await fake.complain("invalid_value", mended["event_id"])
        await fake.piece("r1")
        assert len(await take(stream, 1)) == 1  # the session goes on


async def test_more_than_was_received_cannot_have_been_heard(connect_to: Connect, autojump_clock: Clock) -> None:
    async with opened(connect_to) as (stream, fake):
        await stream.report_heard(ReportHeard(1, 50.0))
        await stream.speak(Speak(0, "Greet."))
        await fake.expect("conversation.item.create")
        await fake.create("r1")
        await fake.piece("r1", bytes(800))
        await take(stream, 1)
        await stream.report_heard(ReportHeard(1, 1000.0, at_ms=0.0))
        await nothing_more(fake)


async def test_each_items_share_of_an_utterance_is_told(connect_to: Connect, autojump_clock: Clock) -> None:
    async with opened(connect_to) as (stream, fake):
        for number in (1, 2):
            await stream.speak(Speak(0, "Speak."))
            await fake.expect()
            await fake.create(f"r{number}")
            for item in ("a", "b", "c"):
                await fake.piece(f"r{number}", bytes(800), item=f"{item}{number}")
            await fake.done(f"r{number}")
            await take(stream, 5)
        await stream.report_heard(ReportHeard(2, 130.0, at_ms=300.0))
        cut = await fake.expect("conversation.item.truncate")
        assert (cut["item_id"], cut["audio_end_ms"]) == ("b2", 30)
        assert (await fake.expect("conversation.item.delete"))["item_id"] == "c2"
        await stream.report_heard(ReportHeard(2, 0.0))  # its place is not known: the newest is meant
        for item in ("a2", "b2"):
            assert (await fake.expect("conversation.item.delete"))["item_id"] == item
        await nothing_more(fake)


async def test_what_was_said_after_it_was_stopped_is_taken_out(connect_to: Connect, autojump_clock: Clock) -> None:
    async with opened(connect_to) as (stream, fake):
        await stream.speak(Speak(0, "Greet."))
        await fake.expect()
        await fake.create("r1")
        await fake.piece("r1", item="heard")
        await take(stream, 1)
        await stream.open_turn()
        await fake.expect("response.cancel")
        content = [{"type": "output_audio"}]
        items = [{"type": "message", "role": "assistant", "id": name, "content": content} for name in ("heard", "not")]
        await fake.done("r1", "cancelled", output=items)
        await take(stream, 2)
        assert (await fake.expect("conversation.item.delete"))["item_id"] == "not"
        await nothing_more(fake)


async def test_a_report_is_about_the_utterance_that_it_names(connect_to: Connect, autojump_clock: Clock) -> None:
    async with opened(connect_to) as (stream, fake), run_over(stream, fake) as running:
        for number in (1, 2):
            await running.uplink.send(Speak(0, "Speak."))
            await fake.expect("conversation.item.create")
            await fake.create(f"r{number}")
            await fake.piece(f"r{number}", bytes(800))
            await fake.done(f"r{number}")
            await running.commands(2)
        await running.uplink.send(ReportHeard(1, 40.0))
        cut = await fake.expect("conversation.item.truncate")
        assert (cut["item_id"], cut["audio_end_ms"]) == ("item_r1", 40)
        await nothing_more(fake)


async def test_the_end_of_a_response_that_is_not_ours_ends_nothing(connect_to: Connect, autojump_clock: Clock) -> None:
    async with opened(connect_to) as (stream, fake):
        await stream.speak(Speak(0, "Greet."))
        await fake.expect()
        await fake.done("phantom", "cancelled", status_details={"reason": "turn_detected"})
        await fake.create("r1")
        await fake.piece("r1", bytes(8))
        await fake.done("phantom again", "cancelled")
        await fake.done("r1")
        assert await take(stream, 3) == [AudioDelta(bytes(8), 0.0), GenerationComplete(), TurnComplete("")]
        await nothing_more(fake)


async def test_a_response_whose_beginning_could_not_be_read_is_heard(
    connect_to: Connect, autojump_clock: Clock
) -> None:
    async with opened(connect_to) as (stream, fake):
        await stream.speak(Speak(0, "Greet."))
        await fake.expect()
        await fake.expect("response.create")
        await fake.piece("r1", bytes(8))
        await fake.done("r1")
        assert await take(stream, 3) == [AudioDelta(bytes(8), 0.0), GenerationComplete(), TurnComplete("")]


# --- the caller's words ----------------------------------------------------------------------------------------------


async def test_the_callers_words_add_up_over_the_items_of_a_turn(connect_to: Connect, autojump_clock: Clock) -> None:
    async with opened(connect_to) as (stream, fake):
        await stream.open_turn()
        await fake.hear("i1", "Are", " you")
        await fake.hear("i2", "today")
        await fake.hear("i1", whole="Are you open")
        await fake.hear("i1", " late")
        await fake.hear("i2", whole="today?")
        assert await take(stream, 5) == [
            CallerTranscript("Are", final=False),
            CallerTranscript("Are you", final=False),
            CallerTranscript("Are you today", final=False),
            CallerTranscript("Are you open today", final=False),
            CallerTranscript("Are you open today?", final=True),
        ]
        await stream.commit_turn(at_once())
        await stream.open_turn()
        await fake.hear("i2", whole="today, please?")  # of a turn that is over
        await fake.hear("i3", "Wait")
        assert await take(stream, 1) == [CallerTranscript("Wait", final=False)]


async def test_an_item_that_was_not_understood_holds_nothing_up(connect_to: Connect, autojump_clock: Clock) -> None:
    async with opened(connect_to) as (stream, fake):
        await stream.open_turn()
        await fake.send("input_audio_buffer.committed", item_id="i2")
        await fake.hear("i1", whole="Hello.")
        failed = "conversation.item.input_audio_transcription.failed"
        await fake.send(failed, item_id="i2", content_index=0, error={"code": "x"})
        assert await take(stream, 2) == [
            CallerTranscript("Hello.", final=False),
            CallerTranscript("Hello.", final=True),
        ]


# --- in writing ------------------------------------------------------------------------------------------------------


async def written_answer(fake: FakeOpenAI) -> None:
    await fake.expect("conversation.item.create")
    await fake.create("r1")
    await fake.words("r1", "We open ", written=True)
    await fake.words("r1", "at nine.", written=True)


async def test_a_session_in_writing_tells_text_and_keeps_only_what_was_heard(
    connect_to: Connect, autojump_clock: Clock
) -> None:
    async with opened(connect_to, in_writing=True) as (stream, fake):
        await stream.speak(Speak(0, "Greet."))
        await written_answer(fake)
        assert await take(stream, 2) == [TextDelta("We open "), TextDelta("at nine.")]
        await stream.heard_only("We open")
        heard = await fake.expect("conversation.item.create")
        assert (heard["item"]["role"], text_of(heard)) == ("assistant", "We open")
        assert heard["previous_item_id"] == "item_r1"
        assert (await fake.expect("conversation.item.delete"))["item_id"] == "item_r1"
        await stream.heard_only("We")
        await nothing_more(fake)


async def test_a_text_of_which_nothing_was_heard_just_goes(connect_to: Connect, autojump_clock: Clock) -> None:
    async with opened(connect_to, in_writing=True) as (stream, fake):
        await stream.speak(Speak(0, "Greet."))
        await written_answer(fake)
        await take(stream, 2)
        await stream.heard_only("")
        assert (await fake.expect("conversation.item.delete"))["item_id"] == "item_r1"


async def test_a_model_whose_voice_failed_says_the_rest_itself(connect_to: Connect, autojump_clock: Clock) -> None:
    async with opened(connect_to, in_writing=True) as (stream, fake):
        await stream.speak(Speak(0, "Greet."))
        await written_answer(fake)
        await fake.done("r1")
        await take(stream, 4)
        await stream.speak_yourself("at nine.")
        assert (await fake.expect("session.update"))["session"]["output_modalities"] == ["audio"]
        assert '"at nine."' in text_of(await fake.expect("conversation.item.create"))
        await fake.create("r2")


async def test_a_model_that_was_still_writing_begins_anew_and_says_so_to_nobody(
    connect_to: Connect, autojump_clock: Clock
) -> None:
    async with opened(connect_to, in_writing=True) as (stream, fake):
        await stream.speak(Speak(3, "Greet."))
        await written_answer(fake)
        await take(stream, 2)
        await stream.speak_yourself("")
        await fake.expect("session.update")
        await fake.expect("response.cancel")
        await fake.done("r1", "cancelled")
        await fake.hear("i1", "x")
        assert await take(stream, 1) == [CallerTranscript("x", final=False)]
        assert (await fake.create("r2"))["turn"] == "3"


async def test_a_model_that_owes_nothing_only_changes_how_it_will_speak(
    connect_to: Connect, autojump_clock: Clock
) -> None:
    async with opened(connect_to, in_writing=True) as (stream, fake):
        await stream.speak_yourself("")
        await fake.expect("session.update")
        await nothing_more(fake)
