"""What a gateway tells those who watch many: how it stands, what its calls came to; and a collector that is away."""

from pathlib import Path
from typing import Any

import pytest
import trio

from engine.call.switchboard_types import SwitchboardStatistics
from engine.config import Settings
from engine.metrics import Metrics
from engine.server.keeping import keep_in_memory
from engine.server.loop_lag import LoopLag
from engine.server.telemetry import open_telemetry, worker_state
from engine.store.interface import CallEnd
from engine.telephony.plane import MediaPlane

ENDED = "2026-11-03T12:00:05+00:00"


def settings(**given: Any) -> Settings:
    return Settings(**{"_env_file": None, **given})


def an_end(document: dict[str, Any]) -> CallEnd:
    return CallEnd("acme", "CA1", "success", "caller_hung_up", {"ended_at": ENDED, **document})


async def test_figures_of_an_ended_call_are_added_once() -> None:
    metrics = Metrics()
    timeline = [
        {"at_ms": 1000.0, "kind": "retrieved", "facts": {"held_ms": 30.0}},
        {"at_ms": 2000.0, "kind": "tool_call", "text": "book", "facts": {}},
        {
            "at_ms": 2500.0,
            "kind": "tool_result",
            "text": "book",
            "facts": {"deduplicated": True, "response": {"status": "ok"}},
        },
        {"at_ms": 5000.0, "kind": "ended"},
    ]
    async with open_telemetry(settings(), metrics) as tell_end:
        tell_end(an_end({"timeline": timeline, "tokens": {"gemini-live": 700}}))
    exposed = metrics.exposition().decode()
    assert "frontdesk_call_seconds_sum 5.0" in exposed
    assert "frontdesk_retrieval_hold_seconds_sum 0.03" in exposed
    assert 'frontdesk_tool_seconds_sum{status="ok"} 0.5' in exposed
    assert "frontdesk_tools_from_ledger_total 1.0" in exposed
    assert 'frontdesk_model_tokens_total{provider="gemini-live"} 700.0' in exposed


async def test_an_end_that_cannot_be_read_is_counted_and_harms_nobody() -> None:
    metrics = Metrics()
    async with open_telemetry(settings(), metrics) as tell_end:
        tell_end(an_end({"tokens": "many"}))
        tell_end(an_end({}))
    assert 'frontdesk_crashes_total{place="telemetry"} 1.0' in metrics.exposition().decode()


@pytest.mark.real_time
async def test_a_collector_that_is_away_costs_traces_and_no_time_of_calls() -> None:
    metrics = Metrics()
    async with open_telemetry(settings(otlp_url="http://127.0.0.1:9"), metrics) as tell_end:
        began = trio.current_time()
        for _ in range(50):
            tell_end(an_end({"timeline": [{"at_ms": 10.0, "kind": "ended"}]}))
        assert trio.current_time() - began < 1.0
    with trio.move_on_after(0.1):
        await trio.sleep_forever()
    exposed = metrics.exposition().decode()
    assert 'fate="sent"' not in exposed
    assert "frontdesk_call_seconds_count 50.0" in exposed


async def test_how_a_worker_stands_is_asked_for_when_somebody_looks(tmp_path: Path) -> None:
    metrics, calls = Metrics(), [SwitchboardStatistics(3, 250, draining=False)]
    async with keep_in_memory([], tmp_path) as keeping:
        metrics.watch_worker(lambda: worker_state(keeping, lambda: calls[0], MediaPlane(), LoopLag()))
        before = metrics.exposition().decode()
        calls[0] = SwitchboardStatistics(3, 250, draining=True)
        after = metrics.exposition().decode()
    assert "frontdesk_calls_capacity 250.0" in before
    assert "frontdesk_draining 0.0" in before
    assert "frontdesk_draining 1.0" in after
    assert 'frontdesk_loop_lag_seconds{quantile="p90"} 0.0' in before
    assert "\nfrontdesk_database_up " not in before, "without a database there is no value, which is not 0"
