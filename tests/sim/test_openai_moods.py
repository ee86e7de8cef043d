from typing import Any

import orjson
import pytest
import trio
from trio.testing import MockClock

from engine.sim.moods import (
    EVERY_NONSENSE,
    QUOTA_MIDWAY,
    Cut,
    Deaf,
    Garbled,
    GoAway,
    Nonsense,
    PhantomInterrupted,
    PhantomMidway,
    Refuse,
    Rule,
    Runaway,
    Silent,
    Slow,
    SlowPongs,
    Stalls,
    TextOnly,
    Unanswered,
    Untranscribed,
)

from .openai_client import ANSWER, NOTES, QUESTION, Client, grounded, moment, mulaw_of, of, said_in, session


async def behaves(client: Client) -> None:
    """A whole ordinary turn."""
    before = len(client.got)
    await client.turn()
    assert (await client.done())["status"] == "completed"
    assert said_in(client.got[before:]) == ANSWER


async def nothing_comes(client: Client, seconds: float) -> None:
    with trio.move_on_after(seconds):
        event = await client.get()
        pytest.fail(f"something came: {event}")


async def quiet(client: Client) -> None:
    """Until what the caller said has been written down, which comes in its own time."""
    await client.until("conversation.item.input_audio_transcription.completed")


async def test_a_slow_model_begins_late_and_only_once(autojump_clock: MockClock) -> None:
    sim = grounded(Slow(3.5), turn=1)
    async with session(sim) as client:
        await behaves(client)
        await behaves(client)
    first, second = (one.at for one in sim.moments if one.what == "first_audio")
    assert first - sim.sessions[0].commits[0].at == pytest.approx(3.5)
    assert second - sim.sessions[0].commits[1].at == pytest.approx(0.25)


async def test_a_silent_model_says_nothing_at_all(autojump_clock: MockClock) -> None:
    sim = grounded(Silent(), turn=1)
    async with session(sim) as client:
        await client.turn()
        await client.until("conversation.item.done")
        await client.until("conversation.item.done")
        for _ in range(2):
            await client.audio(QUESTION)
            await client.respond()
            await nothing_comes(client, 60)
    assert len(sim.sessions[0].commits) == 3


async def test_a_silence_of_two_turns_ends(autojump_clock: MockClock) -> None:
    async with session(grounded(Silent(turns=2), turn=1)) as client:
        await client.turn()
        with trio.move_on_after(30):
            await client.until("response.created")
        await client.note()
        await client.respond()
        with trio.move_on_after(30):
            await client.until("response.created")
        assert not of(client.got, "response.created")
        await behaves(client)


async def test_an_unanswered_response_stays_until_it_is_cancelled(autojump_clock: MockClock) -> None:
    sim = grounded(Unanswered())
    async with session(sim) as client:
        await client.turn()
        await quiet(client)
        await nothing_comes(client, 60)
        await client.send("response.cancel")
        assert (await client.done())["status"] == "cancelled"
        await client.respond()
        assert (await client.done())["status"] == "completed"
    assert said_in(client.got) == ANSWER, "what was asked before is asked again"


async def test_a_deaf_model_takes_no_more(autojump_clock: MockClock) -> None:
    sim = grounded(Deaf(), turn=1)
    async with session(sim) as client:
        await client.turn()
        with trio.move_on_after(30):
            for _ in range(30):
                await client.audio(QUESTION)
        with trio.move_on_after(30):
            await client.until("response.created")
        assert not of(client.got, "response.created")
    assert sim.sessions[0].deaf


@pytest.mark.parametrize("code", [1001, 1006, 1011, 4000])
async def test_a_cut_comes_after_its_share_of_the_answer(autojump_clock: MockClock, code: int) -> None:
    sim = grounded(Cut(code, after_ms=400), turn=1, pace=1.0)
    async with session(sim) as client:
        await client.turn()
        assert await client.closed_with() == code
    assert len(mulaw_of(client.got)) == 8 * 400
    assert moment(sim, "cut") - moment(sim, "first_audio") == pytest.approx(0.36, abs=0.001)
    assert sim.sessions[0].closed_code == code


async def test_a_cut_may_come_before_any_sound(autojump_clock: MockClock) -> None:
    sim = grounded(Cut(1011), turn=1)
    sim.schedule(Rule(Cut(1011), turn=0, connection=2))
    async with session(sim) as client:
        await client.turn()
        assert await client.closed_with() == 1011
        assert mulaw_of(client.got) == b""
    async with session(sim) as client:
        assert await client.closed_with() == 1011


async def test_money_may_run_out_in_the_middle(autojump_clock: MockClock) -> None:
    async with session(grounded(QUOTA_MIDWAY)) as client:
        await client.turn()
        done = await client.done()
        assert await client.closed_with() == 1011
    assert (done["status"], done["status_details"]["error"]["code"]) == ("failed", "insufficient_quota")
    assert done["output"][0]["status"] == "incomplete"


@pytest.mark.parametrize("quietly", [True, False])
async def test_a_session_may_end_before_its_time(autojump_clock: MockClock, quietly: bool) -> None:
    sim = grounded(GoAway(time_left_s=12.5, quiet=quietly), turn=1)
    async with session(sim) as client:
        await client.turn()
        await client.done()
        done_at = trio.current_time()
        assert (await client.error())["code"] == "session_expired"
        assert await client.closed_with() == 1001
    assert moment(sim, "cut") - moment(sim, "go_away") == pytest.approx(12.5)
    assert (moment(sim, "go_away") >= done_at) == quietly


@pytest.mark.parametrize("how", ["transcript", "part"])
async def test_an_answer_may_be_written_and_not_said(autojump_clock: MockClock, how: Any) -> None:
    async with session(grounded(TextOnly(how))) as client:
        await client.turn()
        done = await client.done()
    assert mulaw_of(client.got) == b""
    wrote = "".join(event["delta"] for event in of(client.got, "response.output_text.delta"))
    assert (said_in(client.got), wrote) == ((ANSWER, "") if how == "transcript" else ("", ANSWER))
    assert done["status"] == "completed"


async def test_an_answer_may_stall(autojump_clock: MockClock) -> None:
    async with session(grounded(Stalls(after_ms=400))) as client:
        await client.turn()
        with trio.move_on_after(60):
            await client.done()
        assert len(mulaw_of(client.got)) == 8 * 400
        await client.send("response.cancel")
        assert (await client.done())["status"] == "cancelled"


async def test_an_answer_may_be_interrupted_by_nobody(autojump_clock: MockClock) -> None:
    async with session(grounded(PhantomMidway(after_ms=400))) as client:
        await client.turn()
        done = await client.done()
        assert (done["status"], done["status_details"]["reason"]) == ("cancelled", "turn_detected")
        assert len(mulaw_of(client.got)) == 8 * 400
        await behaves(client)


async def test_an_end_may_be_kept_from_the_client(autojump_clock: MockClock) -> None:
    async with session(grounded(PhantomMidway(after_ms=400, ends_turn=False))) as client:
        await client.turn()
        with trio.move_on_after(30):
            await client.done()
        assert not of(client.got, "response.done")
        await client.send("response.cancel")
        assert (await client.error())["code"] == "response_cancel_not_active"
        await behaves(client)


async def test_a_response_that_nobody_knows_may_be_interrupted(autojump_clock: MockClock) -> None:
    async with session(grounded(PhantomInterrupted(), turn=1)) as client:
        await client.audio(QUESTION)
        assert (await client.done())["status"] == "cancelled"
        assert not of(client.got, "response.created")


@pytest.mark.parametrize("modality", ["audio", "text"])
async def test_a_runaway_goes_on_until_it_is_cancelled(autojump_clock: MockClock, modality: str) -> None:
    sim = grounded(Runaway(600.0, repeats=False))
    async with session(sim, output_modalities=[modality]) as client:
        await client.turn()
        with trio.move_on_after(5):
            await client.done()
        await client.send("response.cancel")
        await client.done()
    assert len(sim.sessions[0].spoken[0].text.split()) > 50
    if modality == "audio":
        assert 12_000 < sim.sessions[0].spoken[0].audio_ms < 16_000


async def test_what_was_said_may_never_be_written_down(autojump_clock: MockClock) -> None:
    sim = grounded(Untranscribed(), Untranscribed(tells=False))
    async with session(sim) as client:
        await client.turn()
        await client.until("response.done")
        failed = of(client.got, "conversation.item.input_audio_transcription.failed")
        assert len(failed) == 1
        await client.turn()
        await client.until("response.done")
        with trio.move_on_after(10):
            await client.get()
    assert len([event for event in client.got if "transcription" in event["type"]]) == 1
    assert [commit.transcript for commit in sim.sessions[0].commits] == ["tone 17", "tone 17"], (
        "it was heard all the same"
    )


async def test_pongs_may_be_late(autojump_clock: MockClock) -> None:
    async with session(grounded(SlowPongs(5.0))) as client:
        sent_at = trio.current_time()
        await client.websocket.ping(b"x")
        assert trio.current_time() - sent_at == pytest.approx(5.0)
        await behaves(client)


@pytest.mark.parametrize("kind", EVERY_NONSENSE)
async def test_nonsense_comes_before_the_answer(autojump_clock: MockClock, kind: Nonsense) -> None:
    async with session(grounded(Garbled((kind,), repeat=2), turn=1)) as client:
        client.websocket._max_message_size = 32 * 1024 * 1024
        await client.turn()
        await client.until("rate_limits.updated")
        raws = [await client.websocket.get_message() for _ in range(2)]
        assert raws[0] == raws[1]
        assert isinstance(raws[0], str)
        assert (len(raws[0]) > 10_000_000) == (kind == "huge_frame")
        if kind == "invalid_json":
            with pytest.raises(orjson.JSONDecodeError):
                orjson.loads(raws[0])
        assert (await client.done())["status"] == "completed"
    assert said_in(client.got) == ANSWER


async def test_nonsense_may_be_all_there_is(autojump_clock: MockClock) -> None:
    sim = grounded(Garbled(("text_only", "not_audio"), repeat=4, instead=True))
    async with session(sim) as client:
        await client.turn()
        with trio.move_on_after(60):
            while True:
                await client.websocket.get_message()
    assert [one.detail for one in sim.moments if one.what == "garbled"] == ["text_only", "not_audio"] * 2
    assert sim.sessions[0].responses[0].status == "in_progress"


async def test_a_client_that_goes_leaves_nothing(autojump_clock: MockClock) -> None:
    sim = grounded(pace=1.0)
    async with session(sim) as client:
        await client.turn(notes=NOTES)
        await client.until("response.output_audio.delta")
    assert sim.sessions[0].closed_code == 1000


async def test_connections_can_be_reset_and_taken_again(nursery: trio.Nursery) -> None:
    """Over real sockets: a memory stream cannot be reset."""
    sim = grounded(Refuse("reset"))
    url = await nursery.start(sim.serve)
    assert url.endswith("/v1/realtime")

    async def is_reset() -> bool:
        async with await trio.open_tcp_stream("127.0.0.1", int(url.split(":")[2].split("/")[0])) as stream:
            with trio.move_on_after(0.3):
                try:
                    await stream.send_all(b"GET /v1/realtime?model=gpt-realtime-2.1 HTTP/1.1\r\n")
                    return not await stream.receive_some()
                except trio.BrokenResourceError:
                    return True
            return False

    assert await is_reset(), "by the rule"
    assert not await is_reset()
    sim.refuse_connections(True)
    assert await is_reset()
    sim.refuse_connections(False)
    assert not await is_reset()
    nursery.cancel_scope.cancel()
