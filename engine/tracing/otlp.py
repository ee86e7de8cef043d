"""Stories of calls, out of this process as OpenTelemetry spans: OTLP over HTTP, on a thread of its own.

``offer`` puts a call into a bounded queue and returns; a collector that is slow, away or wrong costs traces, which are
counted, and nothing else. One trace is one call, whichever workers have served it: its id is made from the call's, so
that an operator who has a CallSid has the trace (``trace_id``). Importing this imports OpenTelemetry, so that is done
only where traces are wanted.
"""

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

from engine.tracing.story import Story

CALLS_QUEUED = 500
CALLS_AT_ONCE = 20
EXPORT_S = 5.0  # for one attempt to hand some calls to the collector, its retries included
NS_PER_MS: Final = 1_000_000

log = logging.getLogger("engine.tracing")


@dataclass(frozen=True, slots=True)
class EndedCall:
    """``started_at_ns`` is of the wall clock."""

    tenant_id: str
    call_sid: str
    started_at_ns: int
    story: Story


def otlp_exporter(url: str) -> SpanExporter:
    """For a collector; an address without a path is completed as OTLP says. Headers: ``OTEL_EXPORTER_OTLP_HEADERS``."""
    scheme, _, rest = url.partition("://")
    host, _, path = rest.partition("/")
    # What it has to say of a collector that is away is counted and said by us, once.
    logging.getLogger("opentelemetry.exporter.otlp.proto.http.trace_exporter").setLevel(logging.CRITICAL)
    return OTLPSpanExporter(f"{scheme}://{host}/{path or 'v1/traces'}", timeout=EXPORT_S)


class TraceSender:
    """The queue and its thread. ``on_fate`` is told what became of how many calls: ``sent``, ``failed``, ``dropped``.

    It is called on either thread, and must not raise.
    """

    def __init__(
        self,
        exporter: SpanExporter,
        *,
        version: str,
        worker: str,
        on_fate: Callable[[str, int], None],
        queued: int = CALLS_QUEUED,
    ) -> None:
        self._exporter = exporter
        self._on_fate = on_fate
        self._resource = Resource.create(
            {"service.name": "frontdesk", "service.version": version, "service.instance.id": worker}
        )
        self._scope = InstrumentationScope("frontdesk", version)
        self._calls: queue.Queue[EndedCall | None] = queue.Queue(queued)
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
        self._closing = False

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def offer(self, call: EndedCall) -> None:
        """Take it, or drop it where too many wait. Returns at once."""
        try:
            self._calls.put_nowait(call)
        except queue.Full:
            self._on_fate("dropped", 1)

    def close(self, patience_s: float) -> None:
        """Send what waits, for so long at most. Blocks: not for trio's thread."""
        try:
            self._calls.put(None, timeout=patience_s)
        except queue.Full:
            self._closing = True  # the collector takes nothing: what waits is lost with the process
        self._thread.join(patience_s)
        self._closing = True
        self._exporter.shutdown()

    def _run(self) -> None:
        while not self._closing and (first := self._calls.get()) is not None:
            calls, ends = [first], False
            while len(calls) < CALLS_AT_ONCE and not ends and not self._calls.empty():
                if (call := self._calls.get()) is None:
                    ends = True
                else:
                    calls.append(call)
            self._send(calls)
            if ends:
                return

    def _send(self, calls: Sequence[EndedCall]) -> None:
        try:
            result = self._exporter.export([span for call in calls for span in self._spans(call)])
            sent = result is SpanExportResult.SUCCESS
        except Exception:
            # Whatever a collector, a proxy or the library does: traces are worth less than the thread that sends them.
            log.exception("traces could not be made or sent")
            sent = False
        self._on_fate("sent" if sent else "failed", len(calls))

    def _spans(self, call: EndedCall) -> list[ReadableSpan]:
        contexts = [_context(call, index) for index in range(len(call.story.spans))]
        spans = []
        for index, span in enumerate(call.story.spans):
            is_call = span.parent is None
            spans.append(
                ReadableSpan(
                    span.name,
                    contexts[index],
                    None if span.parent is None else contexts[span.parent],
                    self._resource,
                    span.facts,
                    _events(call) if is_call else (),
                    kind=SpanKind.SERVER if is_call else SpanKind.INTERNAL,
                    status=Status(StatusCode.ERROR) if span.failed else Status(StatusCode.UNSET),
                    start_time=_ns(call, span.start_ms),
                    end_time=_ns(call, max(span.start_ms, span.end_ms)),
                    instrumentation_scope=self._scope,
                )
            )
        return spans


def trace_id(tenant_id: str, call_sid: str) -> str:
    """Of that call, in hexadecimal, as tools for traces search for it."""
    return sha256(f"{tenant_id}/{call_sid}".encode()).hexdigest()[:32]


def _context(call: EndedCall, index: int) -> SpanContext:
    span = sha256(f"{call.tenant_id}/{call.call_sid}/{index}".encode()).digest()[:8]
    of_call = int(trace_id(call.tenant_id, call.call_sid), 16)
    return SpanContext(of_call, int.from_bytes(span), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _events(call: EndedCall) -> list[Event]:
    return [Event(one.name, dict(one.facts), _ns(call, one.at_ms)) for one in call.story.events]


def _ns(call: EndedCall, at_ms: float) -> int:
    return call.started_at_ns + round(at_ms * NS_PER_MS)
