"""What is said, and what the model is told, when the caller interrupts the tenant's voice."""

import pytest
import trio
import trio.testing

from engine.messages import ReportHeard
from engine.model.provider import (
    AudioDelta,
    Interrupted,
    TextDelta,
    TurnComplete,
)
from engine.sim.moods import Slow
from tests.model.own_voice import (
    ANSWER,
    FIRST,
    SECOND,
    Make,
    open_duet,
)

Clock = trio.testing.MockClock


async def test_an_interruption_closes_the_context_and_drops_what_was_to_come(make: Make, autojump_clock: Clock) -> None:
    async with open_duet(make(pace=1.0)) as duet:
        await duet.ask()
        duet.writer.writes(ANSWER)
        await duet.until(AudioDelta, times=2)
        await duet.open_turn()
        heard = len(duet.sound)
        await trio.sleep(3.0)
    assert len(duet.sound) == heard
    assert duet.voice.sessions[0].contexts[0].closed_at is not None
    assert duet.kinds() == ["AudioDelta", "Interrupted", "TurnComplete"]


async def test_an_interruption_of_a_model_that_is_writing_is_told_by_the_model(
    make: Make, autojump_clock: Clock
) -> None:
    async with open_duet(make()) as duet:
        await duet.ask()
        duet.writer.writes(FIRST, ends=False)
        duet.writer.does(TextDelta(" And"))
        await duet.until(AudioDelta)
        await duet.open_turn()
        await duet.commit()
        duet.writer.does(Interrupted(), TurnComplete("stopped"))
        duet.writer.writes("Of course.")
        await duet.until(TurnComplete, times=2)
    assert duet.kinds() == [
        "AudioDelta",
        "Interrupted",
        "TurnComplete",
        "AudioDelta",
        "GenerationComplete",
        "TurnComplete",
    ]
    assert duet.text.endswith("Of course.")


@pytest.mark.parametrize("heard_ms", [0.0, 300.0, 1000.0, 1900.0])
async def test_the_model_is_told_the_words_that_were_heard(make: Make, autojump_clock: Clock, heard_ms: float) -> None:
    async with open_duet(make()) as duet:
        await duet.ask()
        duet.writer.writes(ANSWER)
        await duet.until(TurnComplete)
        began = next(event for event in duet.events if isinstance(event, AudioDelta))
        await duet.open_turn()
        await duet.stream.report_heard(ReportHeard(1, heard_ms, began.at_ms))
    words = duet.writer.last("heard_only")
    share = heard_ms / 1680  # of the first sentence's sound: 280 ms a word, six of them
    assert ANSWER.startswith(words)
    assert abs(len(words) / len(FIRST) - share) < 0.35
    assert (words == "") == (heard_ms == 0.0)


async def test_what_was_heard_to_its_end_is_not_told(make: Make, autojump_clock: Clock) -> None:
    async with open_duet(make()) as duet:
        await duet.ask()
        duet.writer.writes(ANSWER)
        await duet.until(TurnComplete)
        await duet.open_turn()
        await duet.stream.report_heard(ReportHeard(1, len(duet.sound) / 8, 0.0))
    assert "heard_only" not in duet.writer.names()


async def test_an_answer_interrupted_before_its_first_sound_is_forgotten(make: Make, autojump_clock: Clock) -> None:
    async with open_duet(make(Slow(0.9))) as duet:
        await duet.ask()
        duet.writer.writes(FIRST)
        await trio.sleep(0.2)
        await duet.open_turn()
        assert duet.writer.told[-1] == ("heard_only", "")
        await trio.sleep(3.0)
    assert duet.sound == b""


async def test_the_heard_part_of_a_later_utterance_is_counted_from_where_it_began(
    make: Make, autojump_clock: Clock
) -> None:
    async with open_duet(make()) as duet:
        for times in (1, 2):
            await duet.ask()
            duet.writer.writes(ANSWER)
            await duet.until(TurnComplete, times=times)
        half = len(duet.sound) / 8 / 2
        await duet.open_turn()
        await duet.stream.report_heard(ReportHeard(2, 1700.0, half))
    assert duet.writer.last("heard_only") == FIRST


async def test_ten_quick_interruptions_never_open_a_context_too_many(make: Make, autojump_clock: Clock) -> None:
    async with open_duet(make(pace=2.0)) as duet:
        for _ in range(10):
            await duet.ask()
            duet.writer.writes(ANSWER)
            await trio.sleep(0.25)
        await duet.ask()
        duet.writer.writes("Here I am.")
        await trio.sleep(4.0)
    assert not duet.voice.protocol_faults
    assert "Here I am." in duet.text or duet.writer.last("speak_yourself") == "Here I am."


async def test_sound_that_nobody_took_before_an_interruption_is_not_heard_after_it(
    make: Make, autojump_clock: Clock
) -> None:
    async with open_duet(make(), reads=False) as duet:
        await duet.ask()
        duet.writer.writes(ANSWER)
        await trio.sleep(3.0)
        await duet.open_turn()
        with trio.move_on_after(1.0):
            await duet.read()
    assert duet.sound == b""
    assert duet.text == ""


async def test_sound_of_a_closed_context_is_not_taken_for_the_next_answer(make: Make, autojump_clock: Clock) -> None:
    async with open_duet(make(pace=1.0)) as duet:
        await duet.ask()
        duet.writer.writes(ANSWER)
        await duet.until(AudioDelta)
        await duet.open_turn()
        duet.events.clear()
        await duet.commit()
        duet.writer.writes("Of course.")
        await duet.until(TurnComplete, times=1)
        await trio.sleep(5.0)
    first, second = duet.voice.sessions[0].contexts[:2]
    assert first.said_ms > 2000.0
    assert len(duet.sound) == 8 * second.said_ms
    assert duet.text == "Of course."


async def test_what_is_written_while_the_caller_speaks_is_not_said(make: Make, autojump_clock: Clock) -> None:
    async with open_duet(make()) as duet:
        await duet.open_turn()
        duet.writer.writes("Too late. ", ends=False)
        await trio.sleep(1.0)
    assert duet.voice.sessions[0].texts == []


async def test_the_end_of_a_stopped_answer_is_not_the_end_of_the_next(make: Make, autojump_clock: Clock) -> None:
    async with open_duet(make(pace=1.0)) as duet:
        await duet.ask()
        duet.writer.writes(f"{FIRST} And", ends=False)
        await duet.until(AudioDelta)
        await duet.open_turn()
        await duet.commit()
        duet.writer.does(Interrupted(), TurnComplete("stopped"))
        duet.writer.writes(f"{SECOND} And", ends=False)
        await trio.sleep(1.0)
        await duet.open_turn()
        await trio.sleep(1.0)
    assert duet.kinds().count("Interrupted") == 1  # the model stops what it was writing, and will say so
