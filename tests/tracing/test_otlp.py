"""Traces leave on a thread of their own; a collector that is away, slow or wrong costs traces and nothing else."""

import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from engine.tracing.otlp import EndedCall, TraceSender, otlp_exporter, trace_id
from engine.tracing.story import tell

LONG_S = 10.0  # no test waits for so long but one that fails
STORY = tell(
    {
        "call_sid": "CA1",
        "tenant_id": "acme",
        "outcome": {"outcome": "server", "reason": "crashed"},
        "timeline": [
            {"at_ms": 0.0, "kind": "line", "facts": {"attempt": 0}},
            {"at_ms": 250.0, "kind": "model", "text": "local"},
            {"at_ms": 2000.0, "kind": "ended"},
        ],
    }
)


class Collector(SpanExporter):
    """``held``: it takes nothing until told to; ``fails``: what it raises."""

    def __init__(self, *, held: bool = False, fails: Exception | None = None) -> None:
        self.spans: list[ReadableSpan] = []
        self.asked = threading.Event()
        self.go_on = threading.Event()
        self.fails = fails
        if not held:
            self.go_on.set()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.asked.set()
        self.go_on.wait(LONG_S)
        if self.fails is not None:
            raise self.fails
        self.spans += spans
        return SpanExportResult.SUCCESS


def call(number: int = 1) -> EndedCall:
    return EndedCall("acme", f"CA{number}", 10**18, STORY)


def sender(collector: SpanExporter, fates: Counter[str], queued: int = 500) -> TraceSender:
    def on_fate(fate: str, calls: int) -> None:
        fates[fate] += calls

    made = TraceSender(collector, version="1", worker="worker-0", on_fate=on_fate, queued=queued)
    made.start()
    return made


def test_a_call_is_one_trace_whose_id_is_made_from_the_calls() -> None:
    collector, fates = Collector(), Counter[str]()
    out = sender(collector, fates)
    out.offer(call(1))
    out.offer(call(2))
    out.close(LONG_S)
    assert fates == {"sent": 2}
    root, model = (
        span for span in collector.spans if span.context and span.context.trace_id == int(trace_id("acme", "CA1"), 16)
    )
    assert (root.name, model.name) == ("call", "model local")
    assert root.parent is None
    assert model.parent == root.context
    assert (root.start_time, root.end_time) == (10**18, 10**18 + 2 * 10**9)
    assert model.start_time == 10**18 + 250_000_000
    assert [event.name for event in root.events] == ["line", "model", "ended"]
    assert not root.status.is_ok
    assert len({span.context.span_id for span in collector.spans if span.context}) == 4


def test_a_collector_that_takes_nothing_costs_traces_only() -> None:
    collector, fates = Collector(held=True), Counter[str]()
    out = sender(collector, fates, queued=3)
    out.offer(call(0))
    assert collector.asked.wait(LONG_S)
    for number in range(1, 11):
        out.offer(call(number))
    assert fates == {"dropped": 7}
    collector.go_on.set()
    out.close(LONG_S)
    assert fates == {"dropped": 7, "sent": 4}


def test_one_that_hangs_does_not_keep_the_process() -> None:
    collector, fates = Collector(held=True), Counter[str]()
    out = sender(collector, fates, queued=1)
    out.offer(call(0))
    assert collector.asked.wait(LONG_S)
    out.offer(call(1))
    out.close(0.05)
    assert fates == {}
    collector.go_on.set()


def test_what_a_library_raises_is_a_failure_that_is_counted_and_the_next_call_is_sent() -> None:
    collector, fates = Collector(fails=LookupError("a bug of theirs")), Counter[str]()
    out = sender(collector, fates)
    out.offer(call(0))
    while not fates:
        collector.asked.wait(0.01)
    collector.fails = None
    out.offer(call(1))
    out.close(LONG_S)
    assert fates == {"failed": 1, "sent": 1}


@pytest.mark.real_time
def test_spans_arrive_at_a_collector_over_http() -> None:
    got: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        fates = Counter[str]()
        out = sender(otlp_exporter(f"http://127.0.0.1:{server.server_port}"), fates)
        out.offer(call(1))
        out.close(LONG_S)
        server.shutdown()
        serving.join()
    assert fates == {"sent": 1}
    ((path, body),) = got
    assert path == "/v1/traces"
    request = ExportTraceServiceRequest.FromString(body)
    spans = request.resource_spans[0].scope_spans[0].spans
    assert {span.name for span in spans} == {"call", "model local"}
    assert {span.trace_id.hex() for span in spans} == {trace_id("acme", "CA1")}


def test_where_traces_are_off_nothing_of_the_library_is_imported() -> None:
    look = "import engine.server.compose, sys; print([m for m in sys.modules if m.startswith('opentelemetry')])"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
