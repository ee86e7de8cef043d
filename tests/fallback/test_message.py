"""A message left with the script, under virtual time."""

import pytest
import trio
from trio.testing import MockClock

from engine.fallback.responder import HandedBack, SaidGoodbye
from engine.fallback.steps import Opening
from engine.messages import (
    KeyPressed,
)
from tests.fallback.stage import Stage, speak, window_numbers


async def test_message_holds_the_windows_of_its_time_and_no_others(autojump_clock: MockClock) -> None:
    stage = Stage(successor=None)
    span: list[float] = []

    async def caller(stage: Stage) -> None:
        await stage.wait_said("offer")
        await stage.inbox.send(KeyPressed("1"))
        await stage.wait_played("tone")
        span.append(stage.now)
        await trio.sleep(1.0)
        await speak(stage, 3.0)
        await stage.wait_said("message_kept")
        span.append(stage.now)

    await stage.run(Opening.APOLOGISE, caller)
    assert isinstance(stage.end, SaidGoodbye)
    assert stage.said[-3:] == ["tone", "message_kept", "goodbye"]
    numbers = window_numbers(stage.end.message)
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert numbers[0] / 10 == pytest.approx(span[0], abs=0.15)
    assert numbers[-1] / 10 == pytest.approx(span[1], abs=0.15)
    assert len(numbers) == pytest.approx((1.0 + 3.0 + 0.5 + 4.0) * 10, abs=2)
    assert stage.messages == [stage.end.message]


async def test_message_left_at_the_second_asking_holds_nothing_of_the_first(autojump_clock: MockClock) -> None:
    stage = Stage(successor=None)

    async def caller(stage: Stage) -> None:
        await stage.wait_said("tone", times=2)
        await trio.sleep(1.0)
        await speak(stage, 2.0)

    await stage.run(Opening.APOLOGISE, caller)
    assert isinstance(stage.end, SaidGoodbye)
    assert len(window_numbers(stage.end.message)) == pytest.approx(7.2 * 10, abs=2)
    assert stage.said.count("message_empty") == 1


async def test_message_begun_before_the_successor_came_is_kept_and_handed_over(autojump_clock: MockClock) -> None:
    stage = Stage()

    async def caller(stage: Stage) -> None:
        await stage.wait_said("offer")
        await stage.inbox.send(KeyPressed("1"))
        await stage.wait_played("tone")
        assert stage.successor is not None
        stage.successor.set()
        await speak(stage, 2.0)
        await stage.inbox.send(KeyPressed("#"))

    await stage.run(Opening.APOLOGISE, caller)
    assert isinstance(stage.end, HandedBack)
    assert len(window_numbers(stage.end.message)) == pytest.approx(25, abs=2)
    assert stage.said[-1] == "message_kept"


async def test_caller_who_hangs_up_in_mid_message_has_left_it(autojump_clock: MockClock) -> None:
    stage = Stage(successor=None)
    with trio.CancelScope() as call:

        async def caller(stage: Stage) -> None:
            await stage.wait_said("offer")
            await stage.inbox.send(KeyPressed("1"))
            await stage.wait_played("tone")
            await speak(stage, 3.0)
            call.cancel()

        await stage.run(Opening.APOLOGISE, caller)
    assert stage.end is None
    (message,) = stage.messages
    assert len(window_numbers(message)) == pytest.approx(35, abs=2)


async def test_caller_who_hangs_up_without_a_word_has_left_nothing(autojump_clock: MockClock) -> None:
    stage = Stage(successor=None)
    with trio.CancelScope() as call:

        async def caller(stage: Stage) -> None:
            await stage.wait_said("offer")
            await stage.inbox.send(KeyPressed("1"))
            await stage.wait_played("tone")
            await trio.sleep(2)
            call.cancel()

        await stage.run(Opening.APOLOGISE, caller)
    assert stage.messages == []
