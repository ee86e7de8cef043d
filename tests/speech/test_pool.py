"""The pool, with processes that only do as they are told (``small_process.py``), and once with real ones."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from bench.local_speech_words import plain
from engine.audio import g711
from engine.errors import ConfigurationError, ModelBusy, ModelLost, ModelStalled
from engine.speech import pool as pool_module
from engine.speech.pool import QUEUED, SpeechPool, open_speech
from engine.voice.cache import VoiceCache
from tests.speech.children import children

pytestmark = pytest.mark.real_time

SMALL = [sys.executable, "-m", "tests.speech.small_process"]


@asynccontextmanager
async def small_pool(
    monkeypatch: pytest.MonkeyPatch,
    *,
    processes: int = 1,
    calls: int | None = None,
    deadline_s: float = 10.0,
    spoilt_by: Path | None = None,
) -> AsyncIterator[SpeechPool]:
    """A pool of small processes; asserts that none is left."""

    async def prepared(*_: object, **__: object) -> Path:
        await trio.lowlevel.checkpoint()
        return Path()

    monkeypatch.setattr(pool_module, "prepare", prepared)
    monkeypatch.setattr(pool_module, "PAUSES_S", (0.0, 0.1))
    arguments = [] if spoilt_by is None else [str(spoilt_by)]
    monkeypatch.setattr(pool_module, "command", lambda _: [*SMALL, *arguments])
    before = children()
    async with open_speech(Path(), processes=processes, calls=calls, deadline_s=deadline_s) as speech:
        yield speech
    assert children() == before


async def hear(speech: SpeechPool, order: str) -> str:
    return await speech.recognise(order.encode())


async def test_all_processes_work_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    pids: set[str] = set()
    async with small_pool(monkeypatch, processes=2) as speech:

        async def ask() -> None:
            pids.add(await hear(speech, "nap 0.3"))

        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(ask)
        counted = speech.statistics()
    assert (counted.processes, counted.done, counted.waiting) == (2, 4, 0)
    assert counted.busy > 0.2
    assert counted.wait_p99_ms is not None
    assert counted.wait_p99_ms >= 200
    assert len(pids) == 2


async def test_killed_process_is_replaced_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async with small_pool(monkeypatch) as speech:
        first = int(await hear(speech, "pid"))
        os.kill(first, signal.SIGKILL)
        await replaced(speech)
        assert int(await hear(speech, "pid")) != first


async def test_job_whose_process_dies_is_done_by_the_next(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with small_pool(monkeypatch) as speech:
        assert await hear(speech, f"die {tmp_path / 'died'}") == str(tmp_path / "died")
        assert speech.statistics().replaced == 1
        assert speech.statistics().lost == 0


async def test_job_that_kills_every_process_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async with small_pool(monkeypatch) as speech:
        with pytest.raises(ModelLost, match="two speech processes"):
            await hear(speech, "die")
        assert await hear(speech, "hear me") == "me"
        assert speech.statistics().replaced == 2


async def test_process_that_talks_nonsense_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    async with small_pool(monkeypatch) as speech:
        with pytest.raises(ModelLost):
            await hear(speech, "nonsense")
        assert await hear(speech, "hear me") == "me"


async def test_answer_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async with small_pool(monkeypatch, deadline_s=0.3) as speech:
        pid = await hear(speech, "pid")
        with pytest.raises(ModelStalled):
            await hear(speech, "nap 0.5")
        assert speech.statistics().late == 1
        await trio.sleep(0.4)
        assert (await hear(speech, "pid")).split()[0] == pid  # it was slow, not gone


async def test_process_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "HUNG_S", 0.5)
    async with small_pool(monkeypatch, deadline_s=0.3) as speech:
        with pytest.raises(ModelStalled):
            await hear(speech, "hang")
        await replaced(speech)
        assert await hear(speech, "hear me") == "me"


async def test_cancelled_job_costs_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    async with small_pool(monkeypatch) as speech:
        pid = await hear(speech, "pid")
        with trio.move_on_after(0.1) as scope:
            await hear(speech, "nap 0.3")
        assert scope.cancelled_caught
        assert (await hear(speech, "pid")).split()[0] == pid
        assert speech.statistics().replaced == 0


async def test_cancelled_job_leaves_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    async with small_pool(monkeypatch) as speech, trio.open_nursery() as nursery:
        nursery.start_soon(hear, speech, "nap 0.3")
        await trio.sleep(0.05)
        with trio.move_on_after(0.1):
            await hear(speech, "hear me")
        assert speech.statistics().waiting == 0
        await trio.sleep(0.4)
        assert speech.statistics().done == 1


async def test_full_line_refuses_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async with small_pool(monkeypatch) as speech, trio.open_nursery() as nursery:
        nursery.start_soon(hear, speech, "nap 1")
        await trio.sleep(0.05)
        for _ in range(QUEUED):
            nursery.start_soon(hear, speech, "hear me")
        await trio.sleep(0.05)
        with pytest.raises(ModelLost, match="wait for a speech process already"):
            await hear(speech, "hear me")
        assert speech.statistics().refused == 1
        nursery.cancel_scope.cancel()


async def test_call_with_many_jobs_lets_another_call_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    async with small_pool(monkeypatch, calls=2) as speech, trio.open_nursery() as nursery:

        async def ask(who: str) -> None:
            await hear(speech, "nap 0.05")
            order.append(who)

        async def call(who: str, jobs: int) -> None:
            with speech.admit():
                async with trio.open_nursery() as own:
                    for _ in range(jobs):
                        own.start_soon(ask, who)

        nursery.start_soon(call, "greedy", 8)
        await trio.sleep(0.02)
        nursery.start_soon(call, "modest", 1)
    assert order.index("modest") <= 2


async def test_calls_beyond_the_places_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async with small_pool(monkeypatch, calls=2) as speech:
        with speech.admit():
            with speech.admit(), pytest.raises(ModelBusy), speech.admit():
                raise AssertionError("a third was let in")
            with speech.admit():
                assert speech.statistics().calls == speech.statistics().places == 2
        assert speech.statistics().calls == 0


async def test_line_said_again_needs_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    async with small_pool(monkeypatch) as speech:
        assert await speech.say("Hello.") == await speech.say("Hello.") == b"Hello."
        assert await speech.say(" ") == b""
        assert (speech.statistics().done, speech.statistics().kept) == (1, 1)


async def test_longer_sound_is_read_with_the_draft_of_the_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    async with small_pool(monkeypatch) as speech:
        order = "pid".ljust(4000).replace(" ", "\0")
        assert "draft" not in await hear(speech, order)
        assert (await hear(speech, order + "\0")).endswith(" draft")


async def replaced(speech: SpeechPool) -> None:
    """Wait until a process has taken another's place."""
    with trio.fail_after(10):
        while speech.statistics().replaced == 0 or speech.statistics().processes == 0:
            await trio.sleep(0.02)


async def test_weights_that_cannot_be_used_are_said_at_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def begin() -> None:
        async with small_pool(monkeypatch, spoilt_by=tmp_path):
            raise AssertionError("it began")

    with pytest.raises(ExceptionGroup) as raised:
        await begin()
    assert raised.group_contains(ConfigurationError, match="no weights here")


async def test_weights_that_spoil_later_end_no_call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spoilt = tmp_path / "spoilt"
    async with small_pool(monkeypatch, deadline_s=0.5, spoilt_by=spoilt) as speech:
        pid = int(await hear(speech, "pid"))
        spoilt.touch()
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(ModelStalled):
            await hear(speech, "hear me")
        spoilt.unlink()
        await replaced(speech)
        assert await hear(speech, "hear me") == "me"


def test_processes_end_with_a_worker_that_is_killed() -> None:
    lines = "\n".join(
        (
            "import sys, trio",
            "from engine.speech.child import open_process",
            "async def main():",
            "    async with open_process([sys.executable, '-m', 'tests.speech.small_process']) as process:",
            "        print(process.pid, flush=True)",
            "        await trio.sleep_forever()",
            "trio.run(main)",
        )
    )
    with subprocess.Popen([sys.executable, "-c", lines], stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        pid = int(worker.stdout.readline())
        assert runs(pid)
        worker.kill()
    patience = time.monotonic() + 10
    while runs(pid) and time.monotonic() < patience:
        time.sleep(0.02)
    assert not runs(pid)


def runs(pid: int) -> bool:
    """Neither gone nor a zombie that nobody has asked for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_real_processes_understand_what_they_say(
    speech: VoiceCache, speech_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "Hi there, is there somewhere I can park?"
    before = children()
    async with open_speech(speech._directory.parent, calls=1, deadline_s=60.0) as pool:
        assert plain(await pool.recognise(await pool.say(text))) == plain(text)
        assert await pool.recognise(g711.silence(2000)) == ""
        assert await pool.say("?!") == b""
        (real,) = children() - before
        os.kill(real, signal.SIGKILL)
        began = time.monotonic()
        assert plain(await pool.recognise(speech.mulaw(text))) == plain(text)
        assert time.monotonic() - began < 30
        assert pool.statistics().replaced == 1
    assert children() == before
