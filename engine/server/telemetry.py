"""What the end of a call tells those who watch many: figures for the metrics, a trace for the collector.

Both are made from what the call leaves behind, once that has been kept: nothing here runs while it is on. And how the
worker stands now, for whoever asks for the metrics.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial

import trio

import engine
from engine.call.switchboard_types import SwitchboardStatistics
from engine.config import Settings
from engine.log import get_logger
from engine.metrics import Metrics, WorkerState
from engine.server.keeping import Keeping
from engine.server.loop_lag import LoopLag
from engine.store.interface import CallEnd
from engine.telephony.plane import MediaPlane
from engine.tracing.story import Story, tell

LAST_TRACES_S = 3.0

log = get_logger("server.telemetry")


@asynccontextmanager
async def open_telemetry(settings: Settings, metrics: Metrics) -> AsyncIterator[Callable[[CallEnd], None]]:
    """What is to be told of each call's end, after it has been kept. It returns at once, and never raises."""
    if settings.otlp_url is None:
        yield partial(_tell_end, metrics, None)
        return
    from engine.tracing.otlp import EndedCall, TraceSender, otlp_exporter  # where they are off, not even imported

    sender = TraceSender(
        otlp_exporter(str(settings.otlp_url)),
        version=engine.__version__,
        worker=settings.worker_id,
        on_fate=_Fates(metrics),
    )

    def trace(end: CallEnd, story: Story) -> None:
        sender.offer(EndedCall(end.tenant_id, end.call_sid, started_at_ns(end, story), story))

    sender.start()
    try:
        yield partial(_tell_end, metrics, trace)
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(sender.close, LAST_TRACES_S)


class _Fates:
    """Counts what becomes of traces, and says so when that changes; on the sender's thread too."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics, self._last = metrics, "sent"

    def __call__(self, fate: str, calls: int) -> None:
        self._metrics.traces.labels(fate).inc(calls)
        if fate != self._last:
            say = log.info if fate == "sent" else log.warning
            say("traces of calls", fate=fate)
        self._last = fate


def _tell_end(metrics: Metrics, trace: Callable[[CallEnd, Story], None] | None, end: CallEnd) -> None:
    try:
        story = tell(end.document)
        count(metrics, end, story)
        if trace is not None:
            trace(end, story)
    except Exception:
        # Whoever keeps the ends of all calls tells us: a record of an unforeseen shape must not stop that.
        metrics.crashes.labels("telemetry").inc()
        log.exception("a call's end could not be counted", call_sid=end.call_sid)


def count(metrics: Metrics, end: CallEnd, story: Story) -> None:
    """Add one call's figures to the metrics."""
    metrics.call.observe(story.spans[0].seconds)
    for target in ("script", "model"):
        for span in story.named(f"hand-over to {target}"):
            metrics.handover.labels(target).observe(span.seconds)
    for span in story.named("retrieval"):
        metrics.retrieval_hold.observe(span.seconds)
    for span in story.named("tool"):
        metrics.tool.labels(str(span.facts.get("status", "unanswered"))).observe(span.seconds)
        if span.facts.get("deduplicated"):
            metrics.tools_again.inc()
    for provider, tokens in end.document.get("tokens", {}).items():
        metrics.tokens.labels(provider).inc(tokens)


def started_at_ns(end: CallEnd, story: Story) -> int:
    """When the call began, on the wall clock: its end was written down at the last moment of its story."""
    ended = datetime.fromisoformat(end.document["ended_at"])
    return round(ended.timestamp() * 1e9) - round(story.spans[0].end_ms * 1e6)


def worker_state(
    keeping: Keeping, calls: Callable[[], SwitchboardStatistics], plane: MediaPlane, lag: LoopLag
) -> WorkerState:
    """How the worker stands now."""
    late, ticking, door = lag.statistics(), plane.statistics(), calls()
    database = keeping.parts().get("database")
    return WorkerState(
        loop_lag_s={"p50": late.lag_p50_ms / 1000, "p90": late.lag_p90_ms / 1000, "max": late.lag_max_ms / 1000},
        clock_late_s=ticking.lateness_p99_ms / 1000 if ticking.members else 0.0,
        capacity=door.capacity,
        draining=door.draining,
        media_lines=ticking.members,
        memory_bytes=None if late.memory_mib is None else late.memory_mib * 2**20,
        spooled=keeping.waiting(),
        database_up=None if database is None else database == "ok",
    )
