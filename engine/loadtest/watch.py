"""Looks at a load test once a second: calls, clocks, what the gateway uses and says of itself."""

from collections.abc import Callable, Sequence
from typing import Any

import httpx
import psutil
import trio

from engine.loadtest.gateway import Started
from engine.loadtest.processes import Usage
from engine.loadtest.series import Sample, Seen

SAMPLE_S = 1.0


class Watch:
    """A sample every second."""

    def __init__(
        self,
        started: Started | None,
        callers: Sequence[trio.Process],
        seen: Seen,
        on_sample: Callable[[Sample, Seen], None],
    ) -> None:
        self._started = started
        self._callers = callers
        self._seen = seen
        self._on_sample = on_sample
        self._steady_from: tuple[float, Usage, int] | None = None
        self.steady: tuple[float, float, float, float] | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled."""
        began = at = trio.current_time()
        before = Usage.of(self._started.server) if self._started else None
        busy: dict[int, float] = {}
        ended = 0
        task_status.started()
        async with httpx.AsyncClient(trust_env=False, timeout=SAMPLE_S) as http:
            while True:
                at += SAMPLE_S
                await trio.sleep_until(at)
                usage = Usage.of(self._started.server) if self._started else None
                new = self._seen.calls[ended:]
                ended += len(new)
                answered = sorted(ms for call in new for ms in call.responses)
                pages = [await _page(http, url) for url in self._started.health_urls] if self._started else []
                sample = Sample(
                    at_s=round(at - began, 1),
                    up=sum(self._seen.up.values()),
                    ended=ended,
                    response_ms=answered[len(answered) // 2] if answered else None,
                    generator_late_ms=max(self._seen.late_ms.values(), default=0.0),
                    generator_cores=round(self._busiest(busy), 3),
                    server_cores=round((usage.cpu_s - before.cpu_s) / SAMPLE_S, 3) if usage and before else None,
                    rss_mib=round(usage.rss_mib, 1) if usage else None,
                    loop_lag_ms=_worst(pages, "loop", "lag_max_ms"),
                    plane_late_ms=_worst(pages, "loop", "lateness_p99_ms"),
                    queued=_queued(pages),
                )
                before = usage
                self._seen.samples.append(sample)
                self._on_sample(sample, self._seen)

    def begin_steady(self) -> None:
        """All calls are up."""
        assert self._started is not None
        self._steady_from = trio.current_time(), Usage.of(self._started.server), len(self._seen.samples)

    def end_steady(self) -> None:
        """They begin to leave."""
        assert self._started is not None
        assert self._steady_from is not None
        began, usage, first = self._steady_from
        now = Usage.of(self._started.server)
        ups = [sample.up for sample in self._seen.samples[first:]] or [sum(self._seen.up.values())]
        self.steady = trio.current_time() - began, now.cpu_s - usage.cpu_s, now.rss_mib, sum(ups) / len(ups)

    def _busiest(self, before: dict[int, float]) -> float:
        most = 0.0
        for process in self._callers:
            try:
                times = psutil.Process(process.pid).cpu_times()
            except psutil.NoSuchProcess:
                continue
            cpu_s = times.user + times.system
            most = max(most, cpu_s - before.get(process.pid, cpu_s))
            before[process.pid] = cpu_s
        return most / SAMPLE_S


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


def _queued(pages: Sequence[dict[str, Any]]) -> int | None:
    """The longest queue of any call that is shown."""
    depths = [
        depth
        for page in pages
        for call in page.get("calls", {}).get("shown", ())
        for depth in dict(call["queues"]).values()
    ]
    return max(depths) if depths else None
