"""Rows about the database: stopped, slow, silent, full of clients, gone together with the disk. Over a real server.

In real time, since a thread cannot be seen by a virtual clock; to pay for it, ``TOGETHER`` seeds are calls of one
world, at once, under one fault. Each caller asks something (a search, which may fail) and leaves a message (an effect,
which may not). The fault comes at an instant drawn from the seed, stays until every call is over, and is mended; then
everything that the calls left must be in the database, once.
"""

import errno
import os
import random
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import trio

from bench.adversity.cast import CALLER_PITCH, PARKING, TENANT
from bench.adversity.types import Bars, Row, RunResult
from engine import log
from engine.audio import g711
from engine.errors import StoreUnavailable
from engine.metrics import Metrics
from engine.server.keeping import keep_in_postgres
from engine.sim.brain import GroundedBrain, ToolWish
from engine.sim.carrier_call import HowEnded
from engine.sim.database_link import DatabaseLink
from engine.sim.ear import PhraseEar
from engine.sim.figures import Effects
from engine.sim.gemini import SimGemini
from engine.sim.report import PhoneReport
from engine.sim.scenario import Clip, HangUp, Listen, Moment, Say, Wait
from engine.sim.showcase import CachedVoice
from engine.sim.world import CALLER, World, open_world
from engine.store import spool_files
from engine.store.embedded import EmbeddedServer
from engine.store.follow_ups import FollowUp
from engine.store.interface import CallEnd
from engine.store.pghome import DATABASE, find_home
from engine.store.spool import SpooledStore, SpoolStatistics
from engine.tenants.tenant import Quotas
from engine.voice.cache import VoiceCache

TOGETHER = 10
KEPT_S = 40.0  # after the fault is mended, for all to be in the database; slow as a machine may be
GAP_MS = 40.0  # of sound in mid-utterance; less may be this machine's own doing
NOTE_IT = "Please take a message."
WISH = ToolWish("take_message", {"name": "Robin Lee", "message": "Call me back.", "phone": CALLER})
BUSY = TENANT.model_copy(update={"greeting": "Hello.", "quotas": Quotas(concurrent_calls=500), "people": ()})


@dataclass(frozen=True)
class Fault:
    """What is done to the cable (and the disk), and undone."""

    begin: Callable[[DatabaseLink], None]
    disk_full: bool = False


def _storm(link: DatabaseLink) -> None:
    """Others have taken every connection, ours included."""
    link.refuse()
    link.cut()


FAULTS = {
    "database-stopped": (Fault(DatabaseLink.away), "the database is stopped in mid-call"),
    "database-slow": (Fault(partial(DatabaseLink.slow, seconds=2.0)), "each answer of the database takes 2 s"),
    "database-silent": (Fault(DatabaseLink.silence), "the database's connections stay open and say nothing"),
    "connection-storm": (Fault(_storm), "the server has too many clients already"),
    "disk-full": (Fault(DatabaseLink.away, disk_full=True), "the database is stopped and the disk is full"),
}


@contextmanager
def full_disk() -> Iterator[None]:
    """Nothing more can be spooled."""

    def refuse(directory: Path, name: str, data: bytes) -> None:  # noqa: ARG001  the disk does not look at it
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    original, spool_files.write_record = spool_files.write_record, refuse
    try:
        yield
    finally:
        spool_files.write_record = original


@dataclass(frozen=True)
class Stage:
    """A world over PostgreSQL, with the cable between the two."""

    world: World
    link: DatabaseLink
    model: SimGemini
    said: Mapping[str, Clip]

    async def under(self, name: str, seeds: Sequence[int], *, brief: bool = False) -> dict[int, RunResult]:
        """One call for each seed, at once, under this fault. ``brief``: they leave a message and ask nothing."""
        fault, _ = FAULTS[name]
        reports: dict[int, PhoneReport] = {}

        async def place(seed: int) -> None:
            await trio.sleep(0 if brief else random.Random(seed).uniform(0, 0.5))
            ask: list[Moment] = [] if brief else [Say(self.said[PARKING]), Listen()]
            answer = Wait(3.5) if brief else Listen()
            moments: list[Moment] = [Listen(quiet_ms=300), *ask, Say(self.said[NOTE_IT]), answer, HangUp()]
            reports[seed] = await self.world.call(moments)

        async with trio.open_nursery() as calls:
            for seed in seeds:
                calls.start_soon(place, seed)
            # While it is greeted, while it asks, while it is answered, while the message is left.
            await trio.sleep(1.0 if brief else random.Random(f"{name}:{seeds[0]}").uniform(0.5, 7.0))
            with full_disk() if fault.disk_full else nullcontext():
                fault.begin(self.link)
                while len(reports) < len(seeds):  # noqa: ASYNC110 - nobody tells
                    await trio.sleep(0.05)
                await trio.sleep(0.5)  # what the last one left meets the fault too
        self.link.mend()
        ends, follow_ups = await self._kept({report.call_sid for report in reports.values()})
        faults = self._faults()
        return {seed: _judge(seed, report, ends, follow_ups, faults) for seed, report in reports.items()}

    async def _kept(self, call_sids: set[str]) -> tuple[list[CallEnd], list[FollowUp]]:
        """All that these calls left, once it has come to rest; or whatever is there when patience ends."""
        store = self.world.composed.store
        assert isinstance(store, SpooledStore)
        ends: list[CallEnd] = []
        tasks: list[FollowUp] = []
        with trio.move_on_after(KEPT_S):
            # Other records than these two may come to the database after them.
            while not call_sids <= {end.call_sid for end in ends} or not _is_at_rest(store.statistics()):
                await trio.sleep(0.1)
                with suppress(StoreUnavailable):  # it is only just coming back
                    ends, tasks = await store.calls(BUSY.id), await store.follow_ups(BUSY.id)
        return ends, tasks

    def _faults(self) -> tuple[str, ...]:
        found = [str(fault) for fault in self.model.protocol_faults]
        if crashes := Metrics.total(self.world.composed.gateway.metrics.crashes):
            found.append(f"{crashes:.0f} crashes")
        if members := self.world.composed.gateway.plane.statistics().members:
            found.append(f"{members} lines on the media plane")
        assert isinstance(self.world.composed.store, SpooledStore)
        spooled = self.world.composed.store.statistics()
        if lost := spooled.held + spooled.turned_away + spooled.set_aside:
            found.append(f"{lost} records held, turned away or set aside")
        return tuple(found)


def _is_at_rest(spool: SpoolStatistics) -> bool:
    return not spool.waiting and not spool.held


@asynccontextmanager
async def open_stage(scratch: Path, voice_dir: Path, server: str, seed: int = 0) -> AsyncIterator[Stage]:
    """A world over the server in that folder; what it keeps elsewhere is under ``scratch``."""
    speech = VoiceCache(voice_dir)
    speech.mulaw(BUSY.greeting)
    said = {text: Clip(text, speech.mulaw(text, pitch=CALLER_PITCH)) for text in (PARKING, NOTE_IT)}
    data = scratch / "data"
    data.mkdir()
    (data / "voice").symlink_to(voice_dir)
    model = SimGemini(
        ear=PhraseEar({text: g711.decode(clip.mulaw) for text, clip in said.items()}),
        brain=GroundedBrain(wishes={"take a message": WISH}),
        voice=CachedVoice(speech),
        pace=20,
        think_ms=10,
        seed=seed,
    )
    link = DatabaseLink(server)
    async with trio.open_nursery() as cable:
        await cable.start(link.serve)
        url = link.url(DATABASE)
        async with open_world(
            data_dir=data, keep=keep_in_postgres, tenants=[BUSY], model=model, database_url=url
        ) as world:
            yield Stage(world, link, model, said)
        cable.cancel_scope.cancel()


def run_row(name: str, seed: int, voice_dir: Path) -> RunResult:
    """One call, of a world that it shares with its neighbours by seed."""
    return _together(name, seed // TOGETHER * TOGETHER, voice_dir.resolve())[seed]


@cache
def _together(name: str, first: int, voice_dir: Path) -> dict[int, RunResult]:
    log.configure("CRITICAL")

    async def play() -> dict[int, RunResult]:
        async with open_stage(Path(scratch), voice_dir, server.address.host, first) as stage:
            return await stage.under(name, range(first, first + TOGETHER))

    with ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="frontdesk-store-"))
        server = stack.enter_context(EmbeddedServer(find_home(Path(scratch) / "server", durable=False)))
        return trio.run(play)


def _judge(
    seed: int,
    report: PhoneReport,
    all_ends: Sequence[CallEnd],
    follow_ups: Sequence[FollowUp],
    faults: Sequence[str],
) -> RunResult:
    ends = [end for end in all_ends if end.call_sid == report.call_sid]
    outcome = ends[0].outcome_reason if ends else "no end was kept"
    mine = [item.kind for item in follow_ups if item.call_sid == report.call_sid]
    gaps = [gap for gap in report.gaps_ms if gap > GAP_MS]
    kinds = [f"{m['kind']} {m['text']}".strip() for end in ends for m in end.document.get("timeline", ())]
    return RunResult(
        seed=seed,
        kept=report.how_ended is HowEnded.CALLER_HUNG_UP and report.streams == 1 and outcome == "caller_hung_up",
        outcome=outcome,
        silence_ms=report.longest_silence_ms or 0.0,
        effects=Effects(
            expected=1,
            done=int(bool(mine)),
            duplicated=max(0, mine.count("message") - 1) + max(0, mine.count("task") - 1),
            lost=int(not mine),
        ),
        left=() if len(ends) == 1 else (f"{len(ends)} ends",),
        faults=(*faults, *(f"the sound stopped for {gap:.0f} ms" for gap in gaps)),
        answered=len(report.said) - report.unanswered,
        asked=len(report.said),
        events=tuple(kinds),
    )


ROWS: tuple[Row, ...] = tuple(
    Row(name, "store", said, partial(run_row, name), Bars(), real_time=True) for name, (_, said) in FAULTS.items()
)
