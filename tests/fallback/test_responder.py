"""The actor under virtual time, on a line that plays, marks and clears as the real one does."""

import pytest
import trio
from trio.testing import MockClock

from engine.errors import LineLost
from engine.fallback.responder import HandedBack, SaidGoodbye, WantsPerson, run_responder
from engine.fallback.script import Say
from engine.fallback.steps import Line, Opening
from engine.messages import (
    AgentTranscript,
    Cut,
    CutPlayout,
    EndUtterance,
    FloorEvent,
    KeyPressed,
    PlayAudio,
    PlayoutCommand,
    ResponseStarted,
    Uplink,
    UtterancePlayed,
)
from tests.fallback.stage import ALONE, DENTIST, Stage, prompts_for, speak


async def test_first_line_is_out_before_anything_else_happens(autojump_clock: MockClock) -> None:
    stage = Stage()
    playout, playout_receive = trio.open_memory_channel[PlayoutCommand](8)
    inbox, inbox_receive = trio.open_memory_channel[FloorEvent](8)
    uplink, uplink_receive = trio.open_memory_channel[Uplink](8)
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(count_turns)

        async def run() -> None:
            await run_responder(
                tenant=DENTIST,
                prompts=stage.prompts,
                opening=Opening.APOLOGISE,
                inbox=inbox_receive,
                uplink=uplink_receive,
                playout=playout,
                next_generation=lambda: 7,
                successor=trio.Event(),
            )

        nursery.start_soon(run)
        first = await playout_receive.receive()
        assert first == PlayAudio(7, stage.prompts.apology)
        assert turns <= 3
        assert await playout_receive.receive() == EndUtterance(7)
        nursery.cancel_scope.cancel()
    inbox.close()
    uplink.close()
    playout_receive.close()


async def test_lost_model_is_covered_until_the_successor_takes_over(autojump_clock: MockClock) -> None:
    stage = Stage()

    async def successor(stage: Stage) -> None:
        await stage.wait_said("company")
        await trio.sleep(0.3)
        assert stage.successor is not None
        stage.successor.set()

    await stage.run(Opening.APOLOGISE, successor)
    assert stage.end == HandedBack(None)
    assert stage.said == ["apology", "company", "back"]
    company_at, back_at = stage.played[1][0], stage.played[2][0]
    company_s, back_s = len(stage.prompts.company[0]) / 8000, len(stage.prompts.back) / 8000
    assert back_at == pytest.approx(company_at + company_s, abs=0.01)  # the sentence was finished, and no pause made
    assert stage.ended_at == pytest.approx(back_at + back_s, abs=0.01)
    assert not any(isinstance(command, CutPlayout) for command in stage.commands)
    assert stage.lines == [
        ("apology", DENTIST.script.apology),
        ("company", DENTIST.script.company[0]),
        ("back", DENTIST.script.back),
    ]


async def test_successor_that_is_ready_from_the_start_gets_the_floor_after_the_opening(
    autojump_clock: MockClock,
) -> None:
    stage = Stage()
    assert stage.successor is not None
    stage.successor.set()
    await stage.run(Opening.GREET)
    assert stage.said == ["greeting"]
    assert stage.end == HandedBack(None)


async def test_successor_in_a_pause_ends_it_at_once(autojump_clock: MockClock) -> None:
    stage = Stage()

    async def successor(stage: Stage) -> None:
        await stage.wait_played("apology")
        await trio.sleep(1.0)
        assert stage.successor is not None
        stage.successor.set()

    await stage.run(Opening.APOLOGISE, successor)
    apology_s = len(stage.prompts.apology) / 8000
    assert stage.ended_at == pytest.approx(apology_s + 1.0, abs=0.1)


async def test_every_utterance_has_a_generation_of_its_own_and_an_end(autojump_clock: MockClock) -> None:
    stage = Stage(successor=None)
    await stage.run(Opening.NO_PERSON)
    audio = [command.generation for command in stage.commands if isinstance(command, PlayAudio)]
    ends = [command.generation for command in stage.commands if isinstance(command, EndUtterance)]
    assert audio == ends == list(range(7, 7 + len(audio)))


async def test_nobody_comes_and_nobody_speaks_so_it_is_goodbye(autojump_clock: MockClock) -> None:
    stage = Stage(tenant=ALONE)
    await stage.run(Opening.APOLOGISE)
    assert stage.end == SaidGoodbye(None)
    once_more = ["message_empty", "message_prompt", "tone"]
    assert stage.said == ["apology", "company", "offer", "offer", "message_prompt", "tone", *once_more, "goodbye"]
    assert stage.messages == []


async def test_key_cuts_the_line_that_is_out_before_the_next_begins(autojump_clock: MockClock) -> None:
    stage = Stage(successor=None)

    async def caller(stage: Stage) -> None:
        await stage.wait_said("offer")
        await trio.sleep(0.5)
        await stage.inbox.send(KeyPressed("2"))

    await stage.run(Opening.APOLOGISE, caller)
    assert stage.end == WantsPerson(DENTIST.people[0], None)
    assert stage.said == ["apology", "offer", "connecting"]
    cut = stage.commands.index(CutPlayout(8, Cut.NOW))
    assert stage.commands[cut + 1] == PlayAudio(9, stage.prompts.connecting)
    assert stage.played[2][0] - stage.played[1][0] < 0.6
    # The cleared offer's report is not taken for the end of the line that followed.
    assert stage.ended_at - stage.played[2][0] == pytest.approx(len(stage.prompts.connecting) / 8000, abs=0.01)


async def test_speech_into_a_pause_is_answered_within_a_second(autojump_clock: MockClock) -> None:
    stage = Stage()
    spoke: list[float] = []

    async def caller(stage: Stage) -> None:
        await stage.wait_played("apology")
        await trio.sleep(0.2)
        await speak(stage, 5.0)
        spoke.append(stage.now - 0.5)
        await stage.wait_said("company")
        assert stage.successor is not None
        stage.successor.set()

    await stage.run(Opening.APOLOGISE, caller)
    assert 0 < stage.played[1][0] - spoke[0] <= 1.0


async def test_marks_that_never_come_delay_the_script_but_do_not_stop_it(autojump_clock: MockClock) -> None:
    stage = Stage(tenant=ALONE, mute_marks=True)
    await stage.run(Opening.APOLOGISE)
    assert stage.end == SaidGoodbye(None)
    apology_s = len(stage.prompts.apology) / 8000
    assert stage.played[1][0] == pytest.approx(apology_s + 3.0 + 3.5, abs=0.01)


async def test_events_meant_for_others_are_thrown_away(autojump_clock: MockClock) -> None:
    stage = Stage(tenant=ALONE)

    async def late_model(stage: Stage) -> None:
        for generation in range(1, 60):
            await stage.inbox.send(ResponseStarted(generation, 0.0))
            await stage.inbox.send(AgentTranscript(generation, "late"))
            if generation < 7:  # the responder's own begin with 7
                await stage.inbox.send(UtterancePlayed(generation, 10.0))
            await trio.sleep(0.5)

    undisturbed = Stage(tenant=ALONE)
    await undisturbed.run(Opening.APOLOGISE)
    await stage.run(Opening.APOLOGISE, late_model)
    assert [name for _, name in stage.played] == undisturbed.said
    assert [at for at, _ in stage.played] == pytest.approx([at for at, _ in undisturbed.played], abs=0.01)


async def test_line_that_closes_its_ends_is_a_lost_line(autojump_clock: MockClock) -> None:
    stage = Stage()

    async def line(stage: Stage) -> None:
        await stage.wait_said("company")
        stage.inbox.close()

    with pytest.RaisesGroup(LineLost):
        await stage.run(Opening.APOLOGISE, line)


async def test_playout_without_an_end_is_a_lost_line(autojump_clock: MockClock) -> None:
    _, inbox = trio.open_memory_channel[FloorEvent](8)
    _, uplink = trio.open_memory_channel[Uplink](8)
    playout, nobody = trio.open_memory_channel[PlayoutCommand](8)
    nobody.close()
    with pytest.raises(LineLost, match="broken"):
        await run_responder(
            tenant=DENTIST,
            prompts=prompts_for(DENTIST),
            opening=Opening.GREET,
            inbox=inbox,
            uplink=uplink,
            playout=playout,
            next_generation=lambda: 1,
            successor=None,
        )


async def test_its_clones_are_closed_and_the_channels_live_on(autojump_clock: MockClock) -> None:
    prompts = prompts_for(DENTIST)
    inbox, inbox_receive = trio.open_memory_channel[FloorEvent](8)
    uplink, uplink_receive = trio.open_memory_channel[Uplink](8)
    playout, playout_receive = trio.open_memory_channel[PlayoutCommand](8)
    ready = trio.Event()
    ready.set()
    await inbox.send(UtterancePlayed(1, 0.0))
    clones = inbox_receive.clone(), uplink_receive.clone(), playout.clone()
    end = await run_responder(
        tenant=DENTIST,
        prompts=prompts,
        opening=Opening.APOLOGISE,
        inbox=clones[0],
        uplink=clones[1],
        playout=clones[2],
        next_generation=lambda: 1,
        successor=ready,
    )
    assert end == HandedBack(None)
    for clone in clones:
        with pytest.raises(trio.ClosedResourceError):
            await (clone.send(EndUtterance(1)) if isinstance(clone, trio.MemorySendChannel) else clone.receive())
    await inbox.send(KeyPressed("1"))
    assert await inbox_receive.receive() == KeyPressed("1")
    assert prompts.sound(Say(Line.APOLOGY)) == prompts.apology
    assert (await playout_receive.receive()) == PlayAudio(1, prompts.apology)
    for channel in (inbox, inbox_receive, uplink, uplink_receive, playout, playout_receive):
        channel.close()
