"""What becomes of the responses of an OpenAI Realtime session, against a strict scripted server."""

from typing import Any

import pytest
import trio
import trio.testing

from engine.messages import (
    CallerTranscript,
    Speak,
    UsageReported,
)
from engine.model.provider import (
    AudioDelta,
    GenerationComplete,
    Interrupted,
    Nonsense,
    TranscriptDelta,
    TurnComplete,
)
from tests.model.openai_open import Connect, at_once, nothing_more, opened, take, with_notes

Clock = trio.testing.MockClock
STOPPED = [Interrupted(), TurnComplete("stopped")]


async def test_a_response_is_told_in_the_streams_words(connect_to: Connect, autojump_clock: Clock) -> None:
    async with opened(connect_to) as (stream, fake):
        await stream.speak(Speak(0, "Greet."))
        await fake.expect()
        await fake.create("r1")
        await fake.words("r1", "Hel")
        await fake.piece("r1", b"\x01" * 800)
        await fake.piece("r1", b"\x02" * 80)
        await fake.raw(b"{")
        usage = {"total_tokens": 9, "input_tokens": 7, "input_token_details": {"cached_tokens": 2}}
        await fake.done("r1", usage=usage)
        assert await take(stream, 7) == [
            TranscriptDelta("Hel"),
            AudioDelta(b"\x01" * 800, 0.0),
            AudioDelta(b"\x02" * 80, 100.0),
            Nonsense("not JSON: Input data was truncated"),
            UsageReported({"totalTokenCount": 9, "input_tokens": 7, "input_cached_tokens": 2}),
            GenerationComplete(),
            TurnComplete(""),
        ]
        assert stream.statistics().nonsense == 1


async def test_only_one_response_runs_at_a_time(connect_to: Connect, autojump_clock: Clock) -> None:
    async with opened(connect_to) as (stream, fake):
        await stream.speak(Speak(0, "Greet."))
        await fake.expect()
        await fake.create("r1")
        await fake.piece("r1")
        await take(stream, 1)
        await stream.open_turn()
        await stream.commit_turn(with_notes())
        assert (await fake.expect("response.cancel"))["response_id"] == "r1"
        await fake.expect("conversation.item.create")
        await nothing_more(fake)
        await fake.piece("r1")  # on its way when it was stopped
        await fake.words("r1", "late")
        await fake.done("r1", "cancelled", status_details={"type": "cancelled", "reason": "client_cancelled"})
        assert await take(stream, 2) == STOPPED
        await fake.create("r2")
        await fake.piece("r1")
        await fake.piece("r2", b"\x05" * 8)
        assert await take(stream, 1) == [AudioDelta(b"\x05" * 8, 20.0)]


async def test_a_request_that_waits_is_dropped_when_the_caller_goes_on(
    connect_to: Connect, autojump_clock: Clock
) -> None:
    async with opened(connect_to) as (stream, fake):
        await stream.speak(Speak(0, "Greet."))
        await fake.expect()
        await fake.create("r1")
        await fake.words("r1", "x")
        await take(stream, 1)
        await stream.open_turn()
        await fake.expect("response.cancel")
        await stream.commit_turn(at_once(1))
        await stream.open_turn()
        await fake.done("r1", "cancelled")
        assert await take(stream, 2) == STOPPED
        await nothing_more(fake)
        await stream.commit_turn(at_once(2))
        assert (await fake.create("r2"))["turn"] == "2"


async def test_a_late_piece_is_not_taken_for_the_response_that_is_to_begin(
    connect_to: Connect, autojump_clock: Clock
) -> None:
    async with opened(connect_to) as (stream, fake):
        for number in (1, 2):
            await stream.speak(Speak(0, "Greet."))
            await fake.expect()
            if number == 2:
                await fake.piece("r1", bytes(8))
            await fake.create(f"r{number}")
            await fake.done(f"r{number}")
            assert await take(stream, 2) == [GenerationComplete(), TurnComplete("")]


async def test_a_response_that_was_over_when_it_was_stopped_keeps_nobody_waiting(
    connect_to: Connect, autojump_clock: Clock
) -> None:
    async with opened(connect_to) as (stream, fake):
        await stream.speak(Speak(0, "Greet."))
        await fake.expect()
        await fake.create("r1")
        await fake.words("r1", "x")
        await take(stream, 1)
        await stream.open_turn()
        await stream.commit_turn(at_once())
        stop = await fake.expect("response.cancel")
        await fake.complain("response_cancel_not_active", stop["event_id"])
        assert await take(stream, 2) == STOPPED
        await fake.create("r2")


async def test_a_request_that_comes_too_early_is_made_again_and_no_sooner_than_it_can_be(
    connect_to: Connect, autojump_clock: Clock
) -> None:
    async with opened(connect_to) as (stream, fake):
        await stream.speak(Speak(0, "Greet."))
        await fake.expect()
        asked = await fake.expect("response.create")
        await fake.complain("conversation_already_has_active_response", asked["event_id"])
        await fake.hear("i1", "x")
        await take(stream, 1)
        await nothing_more(fake)
        await fake.done("somebody's")
        await fake.hear("i1", "x")
        await take(stream, 1)
        await fake.create("r1")


async def test_a_response_that_nobody_asked_for_is_stopped_and_not_heard(
    connect_to: Connect, autojump_clock: Clock
) -> None:
    async with opened(connect_to) as (stream, fake):
        await fake.send("response.created", response={"id": "own idea"})
        await fake.piece("own idea")
        await fake.hear("i1", "x")
        assert await take(stream, 1) == [CallerTranscript("x", final=False)]
        assert (await fake.expect("response.cancel"))["response_id"] == "own idea"


async def test_a_request_that_is_refused_is_an_unanswered_turn(connect_to: Connect, autojump_clock: Clock) -> None:
    async with opened(connect_to) as (stream, fake):
        await stream.speak(Speak(0, "Greet."))
        await fake.expect()
        asked = await fake.expect("response.create")
        await fake.complain("of_next_year", asked["event_id"])
        assert await take(stream, 1) == [TurnComplete("refused: of_next_year")]
        await stream.speak(Speak(0, "Again."))
        await fake.expect("conversation.item.create")
        await fake.create("r1")
        assert stream.statistics().errors == {"of_next_year": 1}


@pytest.mark.parametrize(
    ("status", "details", "begun", "told"),
    [
        ("failed", {"error": {"code": "server_error"}}, True, [Interrupted(), TurnComplete("failed: server_error")]),
        ("failed", {"error": {"type": "rate_limit"}}, False, [TurnComplete("failed: rate_limit")]),
        (
            "incomplete",
            {"reason": "max_output_tokens"},
            True,
            [Interrupted(), TurnComplete("incomplete: max_output_tokens")],
        ),
        ("incomplete", {"reason": "content_filter"}, True, [GenerationComplete(), TurnComplete("content_filter")]),
        ("cancelled", {"reason": "turn_detected"}, True, [Interrupted(), TurnComplete("cancelled: turn_detected")]),
    ],
)
async def test_a_response_that_ends_badly_is_broken_off_if_it_was_begun(
    connect_to: Connect, status: str, details: Any, begun: bool, told: list[Any], autojump_clock: Clock
) -> None:
    async with opened(connect_to) as (stream, fake):
        await stream.speak(Speak(0, "Greet."))
        await fake.expect()
        await fake.create("r1")
        if begun:
            await fake.piece("r1")
            await take(stream, 1)
        await fake.done("r1", status, status_details=details)
        assert await take(stream, len(told)) == told


async def test_notes_go_two_turns_later(connect_to: Connect, autojump_clock: Clock) -> None:
    async with opened(connect_to) as (stream, fake):
        ids = []
        for turn_id in (1, 2, 3):
            await stream.open_turn()
            await stream.commit_turn(with_notes(turn_id))
            ids.append((await fake.expect("conversation.item.create"))["item"]["id"])
            await fake.create(f"r{turn_id}")
            await fake.done(f"r{turn_id}")
            await take(stream, 2)
        assert (await fake.expect("conversation.item.delete"))["item_id"] == ids[0]
        await nothing_more(fake)
