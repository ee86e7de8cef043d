"""Did quality hold, and if not, whose fault was it?"""

from dataclasses import replace

import msgspec
import pytest

from engine.loadtest.page import page
from engine.loadtest.plan import Plan
from engine.loadtest.report import judge, report_of
from engine.loadtest.run import Outcome
from engine.loadtest.series import Sample, Seen
from engine.loadtest.watch import Steady
from engine.loadtest.wire import CallFigures

GOOD = CallFigures(
    "CA1",
    "caller_hung_up",
    True,
    30_000.0,
    1,
    300.0,
    (760.0, 755.0),
    (8.0, 3.0),
    (),
    0,
    0,
    760.0,
    (),
    (-200.0,),
    0,
    (),
    0,
    False,
)
SECOND = Sample(20.0, 10, 1, 755.0, 4.0, 0.5, 0.3, 100.0, 2.0, 3.0, 1)
STEADY = Steady(seconds=20.0, cpu_s=8.0, empty_mib=80.0, rss_mib=90.0, calls=20.0)


def outcome(*calls: CallFigures, steady: Steady | None = STEADY, sample: Sample = SECOND, **plan: object) -> Outcome:
    return Outcome(Plan(calls=20, **plan), Seen(list(calls), [sample] * 10), steady)  # type: ignore[arg-type]


def with_(**changes: object) -> CallFigures:
    return msgspec.structs.replace(GOOD, **changes)


def test_a_good_test_holds() -> None:
    assert judge(outcome(GOOD, GOOD), unloaded_p99_ms=740.0).held


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (with_(gaps_ms=(40.0,)), "1 calls heard gaps"),
        (with_(how_ended="application_error"), "1 calls were dropped"),
        (with_(answered=False), "1 calls were dropped"),
        (with_(static=True), "1 calls got the static script"),
        (with_(unanswered=2), "2 questions were not answered"),
        (with_(responses=(900.0,)), "response p99 900 ms, 740 without load"),
    ],
)
def test_what_a_caller_suffers_is_named(bad: CallFigures, said: str) -> None:
    bar = judge(outcome(GOOD, bad), unloaded_p99_ms=740.0)
    assert [failure[: len(said)] for failure in bar.failures] == [said]
    assert bar.limited_by == "server"


def test_a_gap_shorter_than_a_caller_looks_is_its_own() -> None:
    assert judge(outcome(with_(gaps_ms=(4.0,)))).held


def test_a_server_with_nothing_left_does_not_hold() -> None:
    busy = replace(STEADY, cpu_s=19.0)
    assert judge(outcome(GOOD, steady=busy)).failures == ("the server is busy for 95 % of its core",)
    assert judge(outcome(GOOD, steady=busy, workers=2)).held, "two workers have two cores"


@pytest.mark.parametrize("sample", [replace(SECOND, generator_cores=0.97), replace(SECOND, generator_late_ms=60.0)])
def test_a_generator_that_cannot_keep_up_is_not_the_servers_fault(sample: Sample) -> None:
    assert judge(outcome(with_(gaps_ms=(40.0,)), sample=sample)).limited_by == "generator"


def test_a_simulated_model_that_cannot_keep_up_is_not_the_servers_fault_either() -> None:
    busy = replace(SECOND, peers_cores=0.96)
    assert judge(outcome(with_(gaps_ms=(40.0,)), sample=busy)).limited_by == "generator"


def test_a_core_that_all_but_the_server_share_is_a_limit_only_where_somebody_suffers() -> None:
    full = replace(SECOND, elsewhere_busy=0.99)
    assert judge(outcome(with_(gaps_ms=(40.0,)), sample=full)).limited_by == "generator"
    assert judge(outcome(GOOD, sample=full)).limited_by == "none"
    assert judge(outcome(with_(gaps_ms=(40.0,)), sample=replace(full, elsewhere_busy=0.8))).limited_by == "server"


def test_breaches_of_either_protocol_do_not_hold() -> None:
    wrong = outcome(with_(protocol_fault_count=2))
    wrong.seen.model_faults = 3
    assert judge(wrong).failures == (
        "the carrier's protocol was broken 2 times",
        "the model's protocol was broken 3 times",
    )


def test_the_report_says_what_the_generator_cost_and_what_it_checked() -> None:
    steady = replace(STEADY, callers_cpu_s=2.0, peers_cpu_s=1.0, database_cpu_s=0.5)
    load = report_of(outcome(GOOD, steady=steady, sample=replace(SECOND, elsewhere_busy=0.4)))["load"]
    assert load["generator"] == {
        "callers_cores": 0.1,
        "peers_cores": 0.05,
        "database_cores": 0.025,
        "callers_cores_per_100": 0.5,
        "peers_cores_per_100": 0.25,
        "shared_cores_busy": {"p50": 0.4, "max": 0.4},
    }
    assert load["checks"] == {"callers": "light", "model": "light"}
    assert load["lateness"] == {
        "server": {"p50": 3.0, "max": 3.0},
        "generator": {"p50": 4.0, "max": 4.0},
        "generator_p99": {"p50": 0.0, "max": 0.0},
    }


def test_a_model_with_faults_is_the_strict_one() -> None:
    load = report_of(outcome(GOOD, faults="cut"))["load"]
    assert load["checks"] == {"callers": "light", "model": "strict"}


def test_memory_is_also_given_for_calls_after_the_first() -> None:
    steady = replace(STEADY, first_mib=86.0, first_calls=5)
    memory = report_of(outcome(GOOD, steady=steady))["load"]["memory"]
    assert memory == {
        "empty_mib": 80.0,
        "first_calls_mib": 86.0,
        "steady_mib": 90.0,
        "per_further_call_mib": 0.267,
    }


def test_with_faults_an_unanswered_question_is_what_was_asked_for() -> None:
    assert judge(outcome(with_(unanswered=2), faults="cut")).held


def test_the_report_says_what_a_call_costs() -> None:
    report = report_of(outcome(GOOD, GOOD))
    assert report["server"]["cpu_ms_per_call_second"] == 20.0
    assert report["server"]["memory_mib_per_call"] == 0.5
    assert report["added_ms"]["max"] == 8.0


def test_what_was_not_measured_is_null() -> None:
    report = report_of(outcome(GOOD, steady=None, faults="cut"))
    assert report["server"]["cores"] is None
    assert report["added_ms"] is None
    assert report["effects"] is None


def test_the_page_needs_no_network() -> None:
    text = page(report_of(outcome(GOOD, with_(gaps_ms=(40.0,)))))
    assert "1 calls heard gaps" in text
    assert "Plotly.newPlot" in text
    assert "<script src" not in text
    assert "<link" not in text
