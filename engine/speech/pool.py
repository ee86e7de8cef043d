"""``Speech`` by processes that all calls of a worker share. The trio thread only moves bytes (0.2 ms a job).

    call ── recognise, say ──► queue, fair between calls ──► one task per process ──► its pipe
                                  64 jobs; more are refused      replaces it when it dies or hangs

A job whose process dies is done once more by another. Who has waited past the deadline, or was cancelled, takes its
job out of the line; one that is being worked on is finished, and thrown away, since a process costs seconds and a job
a fraction of one.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Hashable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

import trio

from engine.errors import ConfigurationError, ModelBusy, ModelLost, ModelStalled
from engine.log import get_logger
from engine.speech import pipe
from engine.speech.child import ProcessGone, SpeechProcess, command, open_process
from engine.speech.drafts import Drafts
from engine.speech.queue import FairQueue
from engine.speech.statistics import SpeechCounts, SpeechStatistics
from engine.speech.weights import prepare

# Calls served well at once: 19 in 20 of a turn's last readings, begun in the caller's silence, are there within 400 ms,
# most of which the rest of endpointing hides. bench/local_speech.py found 10 on one process and 29 on two, where a job
# waits only while both are busy; slower processors want the difference.
CALLS_ON_ONE, CALLS_ON_EACH_FURTHER = 6, 12

QUEUED = 64  # jobs in line: some seconds' work for one process, so one more would be answered too late anyway
DEADLINE_S = 5.0  # an answer later than that is of no use to anybody on the line
READY_S = 120.0  # all processes at the start; they load in seconds, but side by side with everything else
HUNG_S = 20.0  # no job takes as long: the process is ended
PAUSES_S = (0.0, 0.5, 2.0, 5.0)  # before a process is started again; the last repeats while they die without a job done
LINES_KEPT = 256  # spoken lines, some 20 kB each: greetings, fillers and common answers are said again and again

log = get_logger("speech.pool")

_place: ContextVar[Hashable] = ContextVar("speech_place")


@dataclass(eq=False, slots=True)
class _Job:
    kind: bytes
    payload: bytes
    asker: Hashable
    queued_at: float
    wanted: bool = True
    deaths: int = 0
    result: bytes = b""
    failure: ModelLost | None = None
    done: trio.Event = field(default_factory=trio.Event)


class SpeechPool:
    """See ``Speech``; made by ``open_speech``."""

    def __init__(self, *, processes: int, calls: int, deadline_s: float) -> None:
        self._processes, self._places, self._deadline_s = processes, calls, deadline_s
        self._calls = 0
        self._queue: FairQueue[_Job] = FairQueue()
        self._idle = trio.lowlevel.ParkingLot()
        self._drafts = Drafts()
        self._lines: OrderedDict[str, bytes] = OrderedDict()
        self._closed = False
        self.counts = SpeechCounts(trio.current_time())

    @contextmanager
    def admit(self) -> Iterator[None]:
        """See ``Speech``."""
        if self._calls >= self._places:
            raise ModelBusy(f"all {self._places} places for calls with the local voice are taken")
        _place.set(object())  # for this task and those that it starts: what they ask is asked by one call
        self._calls += 1
        try:
            yield
        finally:
            self._calls -= 1

    async def recognise(self, mulaw: bytes) -> str:
        """See ``Speech``."""
        draft, text = pipe.apart(await self._ask(pipe.RECOGNISE, pipe.pair(self._drafts.find(mulaw), mulaw)))
        self._drafts.keep(mulaw, draft)
        return text.decode()

    async def say(self, text: str) -> bytes:
        """See ``Speech``."""
        if (kept := self._lines.get(text)) is not None:
            self._lines.move_to_end(text)
            self.counts.kept += 1
            await trio.lowlevel.checkpoint()
            return kept
        sound = await self._ask(pipe.SAY, text.encode()) if text.strip() else b""
        self._lines[text] = sound
        if len(self._lines) > LINES_KEPT:
            self._lines.popitem(last=False)
        return sound

    def statistics(self) -> SpeechStatistics:
        """A frozen record of now."""
        return self.counts.sum_up(
            now=trio.current_time(),
            processes=self._processes,
            calls=self._calls,
            places=self._places,
            waiting=len(self._queue),
        )

    async def _ask(self, kind: bytes, payload: bytes) -> bytes:
        if self._closed or len(self._queue) >= QUEUED:
            self.counts.refused += 1
            raise ModelLost("speech is closed" if self._closed else f"{QUEUED} jobs wait for a speech process already")
        asker = _place.get(trio.lowlevel.current_task())
        job = _Job(kind, payload, asker, trio.current_time())
        self._queue.put(asker, job)
        self._idle.unpark()
        try:
            with trio.move_on_after(self._deadline_s):
                await job.done.wait()
        finally:
            job.wanted = False
            self._queue.discard(asker, job)
        if not job.done.is_set():
            self.counts.late += 1
            raise ModelStalled(f"no speech process answered within {self._deadline_s:.1f} s")
        if job.failure is not None:
            self.counts.lost += 1
            raise job.failure
        return job.result

    async def serve(self, command_line: Sequence[str], ready: Callable[[], None]) -> None:
        """Keep one process, and have it do job after job. Runs until cancelled.

        Raises:
            ConfigurationError: the weights cannot be used, as the first process finds.
        """
        started = False
        fruitless = 0
        while True:
            done_before = self.counts.done
            try:
                async with open_process(command_line) as process, trio.open_nursery() as nursery:
                    nursery.start_soon(process.watch)
                    started = True
                    ready()
                    await self._work(process)
            except* ProcessGone as gone:
                self.counts.replaced += 1
                log.warning("a speech process is replaced", why=str(gone.exceptions[0]))
            except* ConfigurationError as spoilt:
                if not started:
                    raise
                # It did start once: what has become of the files since then must not end the worker and its calls.
                log.error("a speech process cannot be started again", why=str(spoilt.exceptions[0]))
            fruitless = fruitless + 1 if self.counts.done == done_before else 0
            await trio.sleep(PAUSES_S[min(fruitless, len(PAUSES_S) - 1)])

    async def _work(self, process: SpeechProcess) -> None:
        self.counts.ready += 1
        try:
            while True:
                await self._do(process, await self._next())
        finally:
            self.counts.ready -= 1

    async def _next(self) -> _Job:
        while (job := self._queue.take()) is None:
            await self._idle.park()
        return job

    async def _do(self, process: SpeechProcess, job: _Job) -> None:
        began_at = trio.current_time()
        self.counts.waited(began_at - job.queued_at)
        try:
            with trio.fail_after(HUNG_S):
                job.result = await process.ask(job.kind, job.payload)
            self.counts.done += 1
        except trio.TooSlowError:
            raise ProcessGone(f"speech process {process.pid} hangs") from None
        except (ProcessGone, trio.Cancelled):  # cancelled: its end was noticed elsewhere, or all is over
            self._again_or_never(job)
            raise
        except ModelLost as error:
            job.failure = error
        self.counts.worked(trio.current_time() - began_at)
        job.done.set()

    def _again_or_never(self, job: _Job) -> None:
        job.deaths += 1
        if not job.wanted:
            return
        if job.deaths == 1 and not self._closed:
            self._queue.put_back(job)
            self._idle.unpark()
        else:
            job.failure = ModelLost("speech is closed" if self._closed else "two speech processes died over one job")
            job.done.set()

    def close(self) -> None:
        """No more jobs; those that wait are over."""
        self._closed = True
        while (job := self._queue.take()) is not None:
            job.failure = ModelLost("speech is closed")
            job.done.set()


def calls_served(processes: int) -> int:
    """How many calls so many processes serve well at once, each having a core."""
    return CALLS_ON_ONE + CALLS_ON_EACH_FURTHER * (processes - 1)


@asynccontextmanager
async def open_speech(
    data_dir: Path,
    *,
    processes: int = 1,
    calls: int | None = None,
    deadline_s: float = DEADLINE_S,
    on_progress: Callable[[float], None] | None = None,
) -> AsyncIterator[SpeechPool]:
    """Prepare the weights if need be, start the processes, and offer them once all are ready; they end with this.

    Args:
        data_dir: where converted weights are kept.
        processes: how many; each takes half a gigabyte.
        calls: that are admitted at once; by default as many as were measured to be served well.
        deadline_s: by which a job is answered, or lost.
        on_progress: see ``prepare``.

    Raises:
        ConfigurationError: no speech on this machine, or the weights cannot be used.
    """
    weights = await prepare(data_dir, on_progress=on_progress)
    pool = SpeechPool(processes=processes, calls=calls or calls_served(processes), deadline_s=deadline_s)
    ready = [trio.Event() for _ in range(processes)]
    async with trio.open_nursery() as nursery:
        for event in ready:
            nursery.start_soon(pool.serve, command(weights), event.set)
        with trio.move_on_after(READY_S) as patience:
            for event in ready:
                await event.wait()
        if patience.cancelled_caught:
            raise ConfigurationError(f"no speech process was ready within {READY_S:.0f} s: see their last words above")
        try:
            yield pool
        finally:
            pool.close()
            nursery.cancel_scope.cancel()
