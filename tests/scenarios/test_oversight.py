"""An operator looks at a call that is on, and takes it over: whoever has the floor, the caller is told first."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio
import trio.testing

from engine.call.oversight import Console, OrderRefused
from engine.sim.moods import Refuse, Rule
from engine.sim.recognise import find_clip
from engine.sim.scenario import Listen, Moment, Say, StayOn
from engine.voice.cache import VoiceCache
from tests.calls import HOLD_ON, PARKING, TENANT, Call, Stage, stage

LINE = "This is the practice. We will be with you in a moment."
MODEL_AWAY = tuple(Rule(Refuse(), connection=number) for number in range(1, 200))


async def overseen(on: Stage, scenario: list[Moment], act: Callable[[Console], Awaitable[None]]) -> Call:
    """A call, and what is done about it once it is on the line."""
    found: list[Call] = []
    async with trio.open_nursery() as nursery:

        async def caller() -> None:
            found.append(await on.call(scenario))

        nursery.start_soon(caller)
        await act(await on_line(on))
    return found[0]


async def on_line(on: Stage) -> Console:
    oversight = on.world.composed.services.oversight
    while not oversight.consoles():
        await trio.sleep(0.05)
    return oversight.consoles()[0]


async def until(is_so: Callable[[], bool]) -> None:
    with trio.fail_after(40):
        while not is_so():
            await trio.sleep(0.02)


def floor(console: Console) -> str:
    return console.glimpse(trio.current_time()).floor


async def test_an_operators_line_is_heard_and_the_conversation_goes_on(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    line = speech.mulaw(LINE)

    async def act(console: Console) -> None:
        await until(lambda: floor(console) == "nobody")
        console.say(LINE, line, by="Ann")
        assert floor(console) == "human"
        await until(lambda: floor(console) != "human")

    async with stage(tmp_path, speech) as on:
        call = await overseen(on, [Listen(), Listen(), Say(on.said[PARKING]), Listen()], act)
    assert find_clip(call.report.right, line) is not None
    assert call.said("operator") == [LINE]
    assert call.moments("operator")[0]["facts"] == {"by": "Ann", "ms": len(line) // 8}
    assert "Parking is free for patients" in " ".join(call.said("agent"))
    assert call.end.outcome_reason == "caller_hung_up"


async def test_an_operator_who_speaks_over_the_agent_is_heard_at_once(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    line = speech.mulaw(LINE)

    async def act(console: Console) -> None:
        # The model answers at the pace of speech: when it is interrupted, half of the answer is still to come.
        await until(lambda: any(one.kind == "retrieved" for one in console.record.timeline))
        await until(lambda: console.level(trio.current_time()).agent_dbfs > -40)
        await trio.sleep(1.0)
        console.say(LINE, line, by="Ann")

    async with stage(tmp_path, speech, pace=1.0) as on:
        scenario: list[Moment] = [Listen(), Say(on.said[PARKING]), Listen(), Say(on.said[HOLD_ON]), Listen()]
        call = await overseen(on, scenario, act)
    cut = call.moments("cut")[-1]
    assert cut["text"].startswith("Parking is free")
    assert cut["at_ms"] == call.moments("operator")[0]["at_ms"]
    assert find_clip(call.report.right, line) is not None
    # The agent's holder did not go on waiting for what nobody will hear: the next turn is answered.
    assert len(call.moments("retrieved")) == 2
    assert call.moments("response")[-1]["facts"]["response_ms"] < 1500


async def test_an_operator_hangs_up_after_a_goodbye(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async def act(console: Console) -> None:
        await until(lambda: floor(console) == "nobody")
        console.hang_up(by="Ann")
        await until(lambda: console.record.outcome is not None)
        with pytest.raises(OrderRefused):
            console.hang_up(by="Ann")

    async with stage(tmp_path, speech) as on:
        goodbye = on.prompts.goodbye
        call = await overseen(on, [Listen(), StayOn()], act)
    assert (call.end.outcome_reason, call.end.document["outcome"]["detail"]) == ("agent_ended", "ordered by Ann")
    assert find_clip(call.report.right, goodbye) is not None
    assert call.moments("order")[0]["facts"] == {"by": "Ann"}


async def test_an_operator_puts_the_caller_through_who_is_told(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async def act(console: Console) -> None:
        await until(lambda: floor(console) == "nobody")
        console.transfer(TENANT.people[0], by="Ann")

    async with stage(tmp_path, speech) as on:
        connecting = on.prompts.connecting
        call = await overseen(on, [Listen(), StayOn()], act)
    assert call.end.outcome_reason == "transferred"
    assert find_clip(call.report.right, connecting) is not None
    assert call.moments("transfer")[0]["text"] == TENANT.people[0].name


async def test_an_operator_is_obeyed_by_the_script_too(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    line = speech.mulaw(LINE)

    async def act(console: Console) -> None:
        await until(lambda: floor(console) == "script")
        await trio.sleep(1.0)
        console.say(LINE, line, by="Ann")
        await trio.sleep(len(line) / 8000 + 1.0)
        console.hang_up(by="Ann")

    async with stage(tmp_path, speech, *MODEL_AWAY) as on:
        goodbye = on.prompts.goodbye
        call = await overseen(on, [Listen(), StayOn()], act)
    assert (call.end.outcome_reason, call.end.document["outcome"]["detail"]) == ("agent_ended", "ordered by Ann")
    assert find_clip(call.report.right, line) is not None
    assert find_clip(call.report.right, goodbye) is not None


async def test_an_order_to_the_script_puts_the_caller_through(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async def act(console: Console) -> None:
        await until(lambda: floor(console) == "script")
        console.transfer(TENANT.people[0], by="Ann")

    async with stage(tmp_path, speech, *MODEL_AWAY) as on:
        call = await overseen(on, [Listen(), StayOn()], act)
    assert call.end.outcome_reason == "transferred"


async def test_the_timeline_can_be_read_piece_by_piece(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    read: list[str] = []
    quiet: list[float] = []
    loud: list[float] = []
    told: list[float | None] = []

    async def act(console: Console) -> None:
        after = 0
        oversight = on.world.composed.services.oversight
        while oversight.consoles():
            page = console.moments(after)
            assert page.first == after
            read.extend(one.kind for one in page.moments)
            after = page.after
            levels = console.level(trio.current_time())
            (loud if floor(console) == "caller" else quiet).append(levels.caller_dbfs)
            await trio.sleep(0.2)
        assert console.moments(10_000).first == 0  # what it never gave: all of it
        told.append(console.glimpse(0.0).response_ms)

    async with stage(tmp_path, speech) as on:
        call = await overseen(on, [Listen(), Say(on.said[PARKING]), Listen()], act)
    assert read == call.kinds()[: len(read)]
    assert len(read) >= len(call.kinds()) - 3  # all but the last words
    assert told == [call.moments("response")[-1]["facts"]["response_ms"]]
    assert max(loud) > -35
    assert min(quiet) < -60
