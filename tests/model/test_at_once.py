"""What goes up by the shorter way is what would have gone up anyhow, and never overtakes anything."""

import pytest
import trio
import trio.testing

from engine.audio.g711 import FRAME_BYTES
from engine.errors import MisuseError, ModelClosed
from engine.messages import Asked, CallerAudio, CommitTurn, Notes, Passage
from engine.model.gemini_stream import GeminiStream
from engine.model.stream import ModelSocket
from tests.model import lean
from tests.model.conftest import OverTcp
from tests.model.fake_gemini import FakeGemini

Clock = trio.testing.MockClock
WINDOW = CallerAudio(b"\x55" * 5 * FRAME_BYTES)


def commit(tenant_id: str = "acme") -> CommitTurn:
    return CommitTurn(Asked(1), Notes(1, "how much", (Passage(tenant_id, "prices.md", "A visit costs 80.", 0.9),), 1.0))


async def test_a_turn_may_go_up_without_a_step_of_the_loop(over_tcp: OverTcp) -> None:
    async with over_tcp() as (stream, fake):
        assert not stream.send_audio_now(WINDOW), "no turn is open: that is counted where it always was"
        await stream.open_turn()
        assert stream.send_audio_now(WINDOW)
        assert not stream.send_audio_now(CallerAudio(b""))
        await stream.send_audio(WINDOW)
        assert stream.commit_turn_now(commit())
        went_up = [(await fake.expect())["realtimeInput"] for _ in range(5)]
        assert [next(iter(one)) for one in went_up] == ["activityStart", "audio", "audio", "text", "activityEnd"]
        assert went_up[1] == went_up[2]
        assert "A visit costs 80." in went_up[3]["text"]
        assert stream.statistics().windows == 2
        with pytest.raises(MisuseError, match="none is open"):
            stream.commit_turn_now(commit())


async def test_by_no_way_does_a_passage_of_another_tenant_go_up(over_tcp: OverTcp) -> None:
    async with over_tcp() as (stream, _):
        await stream.open_turn()
        with pytest.raises(MisuseError, match="another tenant"):
            stream.commit_turn_now(commit("other"))


async def test_what_the_system_does_not_take_goes_out_before_all_that_follows(over_tcp: OverTcp) -> None:
    async with over_tcp() as (stream, fake):
        await stream.open_turn()
        sent = 0
        while stream.send_audio_now(WINDOW):  # nobody reads: the system takes no more in the end
            sent += 1
        assert sent > 10
        assert not stream.commit_turn_now(commit())
        went_up: list[str] = []

        async def read() -> None:
            while "activityEnd" not in went_up:
                went_up.append(next(iter((await fake.expect())["realtimeInput"])))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await stream.send_audio(WINDOW)
            await stream.commit_turn(commit())
        assert went_up == ["activityStart", *["audio"] * (sent + 1), "text", "activityEnd"]


async def test_a_connection_that_broke_meanwhile_is_told_where_it_always_was(over_tcp: OverTcp) -> None:
    async with over_tcp() as (stream, fake):
        await stream.open_turn()
        await trio.aclose_forcefully(fake.stream)
        for _ in range(3):
            stream.send_audio_now(WINDOW)
        assert not stream.send_audio_now(WINDOW)
        with pytest.raises(ModelClosed):
            await stream.send_audio(WINDOW)


async def test_who_sends_is_not_overtaken() -> None:
    tcp, theirs = lean.plain()
    mine, fake = ModelSocket(tcp), FakeGemini(theirs)
    stream = GeminiStream(mine, "acme")
    async with trio.open_nursery() as nursery:
        async with mine._sending:
            nursery.start_soon(stream.open_turn)
            await trio.testing.wait_all_tasks_blocked()
            assert not stream.send_audio_now(WINDOW)
        assert "activityStart" in (await fake.expect())["realtimeInput"]
    assert stream.send_audio_now(WINDOW)
    await mine.aclose()
    await theirs.aclose()
