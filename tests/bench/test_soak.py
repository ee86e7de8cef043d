"""What the soak calls flat, and what it calls left over; the gateway is made up, but for one real process."""

import os
import random
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import psutil
import pytest

from bench.drift import POOL, Drift, Sample, drifts, left
from bench.soak import cpu_ms_per_call_second, summary, table, verdict
from bench.soak_watch import Watch
from engine.loadtest.gateway import Started
from engine.loadtest.plan import Plan, Target
from engine.store.database import DatabaseConfig

QUIET = Sample(at_s=0, calls=0, cpu_s=0, rss_mib=140, tasks=25, threads=4, sockets=9, connections=3)
PLAN = Plan(calls=50, ramp_s=5, duration_s=1800, call_s=30)
REPORT = {
    "calls": {"placed": 3000, "dropped": 0},
    "response_ms": None,
    "underruns_per_minute": 0.0,
    "limited_by": "none",
    "load": {"held": True, "failures": []},
}


def half_an_hour(grown: Callable[[float], float] = lambda _: 0.0, seed: int = 1) -> list[Sample]:
    """Fifty calls that come and go, and what the gateway grows by besides, in MiB at that instant."""
    source, calls, found = random.Random(seed), 50.0, []
    for at_s in range(0, 1840, 2):
        calls += 0.1 * (50 - calls) + source.gauss(0, 1)  # who is on the line now is on it two seconds later
        up = round(calls)
        found.append(
            Sample(
                at_s=at_s,
                calls=up,
                cpu_s=0.25 * at_s,
                rss_mib=150 + 0.2 * up + source.gauss(0, 0.05) + grown(at_s),
                tasks=25 + 20 * up,
                threads=4,
                sockets=9 + 4 * up,
                connections=3,
            )
        )
    return found


@pytest.mark.parametrize("seed", range(20))
def test_calls_that_come_and_go_do_not_grow(seed: int) -> None:
    assert all(drift is not None and drift.is_flat for drift in drifts(half_an_hour(seed=seed)).values())


@pytest.mark.parametrize("seed", range(20))
def test_a_kilobyte_left_by_each_call_is_seen(seed: int) -> None:
    per_call_mib = 2 / 1024  # a call leaves two; fifty calls of thirty seconds are 3,000 in half an hour: 6 MiB
    found = drifts(half_an_hour(lambda at_s: per_call_mib * 50 * at_s / 30, seed))
    drift = found["rss_mib"]
    assert drift is not None
    assert not drift.is_flat
    assert drift.per_hour == pytest.approx(per_call_mib * 50 * 120, rel=0.2)
    assert found["tasks"] is not None
    assert found["tasks"].is_flat


def test_calls_that_are_remembered_for_a_while_are_no_leak() -> None:
    report = summary(PLAN, REPORT, [QUIET], half_an_hour(lambda at_s: 0.04 * min(900.0, at_s)), [QUIET])
    assert report["drift"]["rss_mib"]["flat"] is True
    longer = summary(PLAN, REPORT, [QUIET], half_an_hour(lambda at_s: 0.04 * at_s), [QUIET])
    assert longer["drift"]["rss_mib"]["flat"] is False


def test_memory_is_not_judged_while_it_must_grow() -> None:
    short = msgspec.structs.replace(PLAN, duration_s=600)
    report = summary(short, REPORT, [QUIET], half_an_hour(lambda at_s: at_s)[:300], [QUIET])
    assert (report["drift"]["rss_mib"], report["flat"]) == (None, None)
    assert report["drift"]["tasks"]["flat"] is True


@pytest.mark.parametrize("seed", range(20))
def test_what_is_all_noise_is_not_called_growth(seed: int) -> None:
    source = random.Random(seed)
    drift = Drift.of([float(at) for at in range(200)], [50.0] * 200, [source.gauss(100, 30) for _ in range(200)])
    assert drift is not None
    assert drift.is_flat


def test_what_shrinks_is_flat() -> None:
    drift = Drift.of([float(at) for at in range(100)], [50.0] * 100, [float(1000 - 5 * at) for at in range(100)])
    assert drift is not None
    assert drift.is_flat


def test_a_line_is_found_exactly() -> None:
    drift = Drift.of([36.0 * at for at in range(100)], [50.0] * 100, [7.0 + at for at in range(100)])
    assert drift is not None
    assert drift.per_hour == pytest.approx(100)
    assert drift.error == pytest.approx(0, abs=1e-9)
    assert drift.growth == pytest.approx(99)


def test_more_calls_towards_the_end_are_no_leak() -> None:
    more = [
        replace(one, calls=up, tasks=25 + 20 * up) for at, one in enumerate(half_an_hour()) for up in [40 + at // 20]
    ]
    drift = drifts(more)["tasks"]
    assert drift is not None
    assert drift.is_flat


@pytest.mark.parametrize("count", [0, 1, 9])
def test_few_samples_say_nothing(count: int) -> None:
    assert Drift.of([float(at) for at in range(count)], [1.0] * count, [1.0] * count) is None


def test_nothing_is_left_where_all_is_as_before() -> None:
    busy = replace(QUIET, tasks=27, sockets=10)  # as something that comes and goes was seen once
    assert set(left([QUIET, busy], [busy, QUIET]).values()) == {0}


@pytest.mark.parametrize("name", ["tasks", "threads", "sockets"])
def test_one_that_stays_is_left(name: str) -> None:
    more = replace(QUIET, **{name: getattr(QUIET, name) + 1})
    assert left([QUIET], [more, more])[name] == 1
    assert left([more], [QUIET])[name] == 0


def test_the_pool_is_as_large_as_the_stores() -> None:
    assert DatabaseConfig(url=None, data_dir=Path()).max_connections == POOL


def test_the_pool_may_keep_its_connections_but_no_more() -> None:
    assert left([QUIET], [replace(QUIET, connections=3 + 9)])["connections"] == 0
    assert left([QUIET], [replace(QUIET, connections=3 + 11)])["connections"] == 2


def test_what_nobody_could_count_is_not_known_to_be_gone() -> None:
    unknown = replace(QUIET, tasks=None)
    assert left([QUIET], [unknown])["tasks"] is None
    assert left([], [])["threads"] is None


def test_a_soak_is_summed_up() -> None:
    report = summary(PLAN, REPORT, [QUIET], half_an_hour(), [QUIET])
    assert (report["flat"], report["nothing_left"], report["left"]["tasks"]) == (True, True, 0)
    assert report["cpu_ms_per_call_second"] == pytest.approx(5.0, rel=0.05)
    assert len(report["series"]) <= 300
    assert "flat" in table(report)
    leaking = summary(PLAN, REPORT, [QUIET], half_an_hour(lambda at_s: at_s / 60), [replace(QUIET, tasks=26)])
    assert (leaking["flat"], leaking["nothing_left"], leaking["left"]["tasks"]) == (False, False, 1)
    assert "GROWS" in table(leaking)


def test_what_is_not_known_is_neither_good_nor_bad() -> None:
    assert verdict([True, True]) is True
    assert verdict([True, None]) is None
    assert verdict([None, False]) is False


def test_a_soak_too_short_to_fit_is_not_called_flat() -> None:
    report = summary(PLAN, REPORT, [QUIET], half_an_hour()[:3], [QUIET])
    assert (report["flat"], report["nothing_left"]) == (None, True)
    assert report["drift"]["rss_mib"] is None
    assert "not fitted" in table(report)


def test_what_a_call_costs_leaves_out_what_was_not_seen() -> None:
    up = [replace(QUIET, at_s=at, calls=10, cpu_s=at / 20) for at in (0, 2, 4)]
    assert cpu_ms_per_call_second(up) == 5.0
    assert cpu_ms_per_call_second([up[0], replace(up[1], calls=None, cpu_s=5), replace(up[2], cpu_s=9)]) == 250.0
    assert cpu_ms_per_call_second([QUIET, QUIET]) is None


def test_a_process_is_looked_at_from_outside(tmp_path: Path) -> None:
    started = Started(Target(url="", account_sid="", auth_token="", called=""), (), (psutil.Process(),), ())
    watch = Watch(started, tmp_path)
    page = {"calls": {"now": 2}, "process": {"tasks": 7}}
    before = watch._look(0, [page, page])
    with socket.socket(), socket.socket(), open(os.devnull):
        during = watch._look(2, [page, None])
    assert (before.calls, before.tasks, before.connections) == (4, 14, 0)
    assert (during.calls, during.tasks) == (None, None)
    assert during.sockets == before.sockets + 2
    assert during.rss_mib > 1
    assert during.threads >= 1


def test_connections_that_are_kept_for_the_next_embedding_are_no_sockets_of_calls(tmp_path: Path) -> None:
    started = Started(Target(url="", account_sid="", auth_token="", called=""), (), (psutil.Process(),), ())
    with socket.create_server(("127.0.0.1", 0)) as server:
        watch = Watch(started, tmp_path, embed_port=server.getsockname()[1])
        before = watch._look(0, [])
        with socket.create_connection(server.getsockname()), socket.socket():
            during = watch._look(2, [])
    assert during.sockets == before.sockets + 1
