"""Looks at a load test once a second: calls, clocks, what everybody uses and what the gateway says of itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import psutil
import trio

from engine.loadtest.processes import Usage
from engine.loadtest.series import Sample, Seen

SAMPLE_S = 1.0
FIRST_CALLS = 5


@dataclass(frozen=True, slots=True)
class Watched:
    """Whom to look at; ``callers`` fills as they start, ``elsewhere`` are the cores of all but the gateway.

    Attributes:
        database: the first process of each; what descends from them is theirs.
    """

    health_urls: Sequence[str] = ()
    server: Sequence[psutil.Process] = ()
    database: Sequence[psutil.Process] = ()
    callers: Sequence[psutil.Process] = ()
    peers: Sequence[psutil.Process] = ()
    elsewhere: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Steady:
    """What was used while all calls were up, in CPU seconds and MiB.

    Attributes:
        cpu_s, rss_mib: of the gateway.
        empty_mib: of the gateway, before the first call came.
        first_mib, first_calls: of the gateway with the first calls, which load what all others find loaded.
        calls: that were up.
        callers_cpu_s, peers_cpu_s, database_cpu_s: of the others.
    """

    seconds: float
    cpu_s: float
    empty_mib: float
    rss_mib: float
    calls: float
    first_mib: float = 0.0
    first_calls: int = 0
    callers_cpu_s: float = 0.0
    peers_cpu_s: float = 0.0
    database_cpu_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _Used:
    """By now, of everybody."""

    at: float
    server: Usage
    database: Usage
    callers: Sequence[Usage]
    peers: Usage
    elsewhere: tuple[float, float]


class Watch:
    """A sample every second. ``steady`` is there once ``end_steady`` was called."""

    def __init__(self, watched: Watched, seen: Seen, on_sample: Callable[[Sample, Seen], None]) -> None:
        self._watched = watched
        self._seen = seen
        self._on_sample = on_sample
        self._empty_mib = self._first_mib = Usage.of(watched.server).rss_mib
        self._first_calls = 0
        self._steady_from: tuple[_Used, int] | None = None
        self.steady: Steady | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled."""
        began = at = trio.current_time()
        before = self._used()
        ended = 0
        task_status.started()
        async with httpx.AsyncClient(trust_env=False, timeout=SAMPLE_S) as http:
            while True:
                at += SAMPLE_S
                await trio.sleep_until(at)
                now = self._used()
                answered = sorted(ms for call in self._seen.calls[ended:] for ms in call.responses)
                ended = len(self._seen.calls)
                pages = [await _page(http, url) for url in self._watched.health_urls]
                sample = self._sample(round(at - began, 1), before, now, answered, pages)
                before = now
                if not self._first_calls and sample.up >= FIRST_CALLS:
                    self._first_calls, self._first_mib = sample.up, now.server.rss_mib
                self._seen.samples.append(sample)
                self._on_sample(sample, self._seen)

    def begin_steady(self) -> None:
        """All calls are up."""
        self._steady_from = self._used(), len(self._seen.samples)

    def end_steady(self) -> None:
        """They begin to leave."""
        assert self._steady_from is not None
        before, first = self._steady_from
        now = self._used()
        ups = [sample.up for sample in self._seen.samples[first:]] or [sum(self._seen.up.values())]
        self.steady = Steady(
            now.at - before.at,
            now.server.cpu_s - before.server.cpu_s,
            self._empty_mib,
            now.server.rss_mib,
            sum(ups) / len(ups),
            self._first_mib,
            self._first_calls,
            sum(one.cpu_s for one in now.callers) - sum(one.cpu_s for one in before.callers),
            now.peers.cpu_s - before.peers.cpu_s,
            now.database.cpu_s - before.database.cpu_s,
        )

    def _used(self) -> _Used:
        watched = self._watched
        return _Used(
            trio.current_time(),
            Usage.of(watched.server),
            Usage.of_families(watched.database),  # it has a process for each connection, and they come and go
            [Usage.of([one]) for one in watched.callers],
            Usage.of(watched.peers),
            _busy(watched.elsewhere),
        )

    def _sample(
        self, at_s: float, before: _Used, now: _Used, answered: Sequence[float], pages: Sequence[dict[str, Any]]
    ) -> Sample:
        seconds, ours = now.at - before.at, bool(self._watched.server)

        def cores(then: Usage, since: Usage) -> float:
            return round(max(0.0, since.cpu_s - then.cpu_s) / seconds, 3)

        queues = _queues(pages)
        busy, all_of = (new - old for new, old in zip(now.elsewhere, before.elsewhere, strict=True))
        return Sample(
            at_s=at_s,
            up=sum(self._seen.up.values()),
            ended=len(self._seen.calls),
            response_ms=answered[len(answered) // 2] if answered else None,
            generator_late_ms=max(self._seen.late_ms.values(), default=0.0),
            generator_late_p99_ms=max(self._seen.late_p99_ms.values(), default=0.0),
            # One that has just begun is first seen in the next second.
            generator_cores=max(map(cores, before.callers, now.callers), default=0.0),
            peers_cores=cores(before.peers, now.peers) if ours else None,
            database_cores=cores(before.database, now.database) if ours else None,
            elsewhere_busy=round(busy / all_of, 3) if all_of else None,
            server_cores=cores(before.server, now.server) if ours else None,
            rss_mib=round(now.server.rss_mib, 1) if ours else None,
            threads=now.server.threads if ours else None,
            descriptors=now.server.descriptors if ours else None,
            loop_lag_ms=_worst(pages, "loop", "lag_max_ms"),
            plane_late_ms=_worst(pages, "loop", "lateness_p99_ms"),
            queued=max(queues, default=None),
            queued_total=sum(queues) if queues else None,
        )


def _busy(cores: Sequence[int]) -> tuple[float, float]:
    """Seconds that these cores were used so far, and all seconds."""
    if not cores:
        return 0.0, 0.0
    times = psutil.cpu_times(percpu=True)
    ours = [times[core] for core in cores if core < len(times)]
    idle = sum(one.idle + getattr(one, "iowait", 0.0) for one in ours)
    everything = sum(sum(one) for one in ours)
    return everything - idle, everything


async def _page(http: httpx.AsyncClient, url: str) -> dict[str, Any]:
    try:
        page: dict[str, Any] = (await http.get(url)).json()
    except (httpx.HTTPError, ValueError):
        return {}
    return page


def _worst(pages: Sequence[dict[str, Any]], *path: str) -> float | None:
    found = []
    for page in pages:
        value: Any = page
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if isinstance(value, int | float):
            found.append(float(value))
    return round(max(found), 2) if found else None


def _queues(pages: Sequence[dict[str, Any]]) -> list[int]:
    """How many messages wait in each queue of each call that is shown."""
    return [
        int(depth)
        for page in pages
        for call in page.get("calls", {}).get("shown", ())
        for depth in dict(call["queues"]).values()
    ]
