"""Whether the micro benches measure what they say, and whether a slow host can be told from slow code."""

import json
from pathlib import Path

import pytest

from bench import machine, micro, pythons
from bench.micro_cases import CASES, FRAMES, Case, Second, listen_to, speech
from engine.messages import SpeechEnded, SpeechStarted


def busy(loops: int) -> Second:
    def second() -> None:
        for _ in range(loops):
            machine.spin()

    return second


@pytest.fixture(autouse=True)
def short_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(micro, "BATCH_S", 0.0005)


def test_every_case_can_be_repeated() -> None:
    for name, case in CASES.items():
        second = case.make()
        second()
        second()
        assert case.pieces > 0, name


def test_the_voice_of_the_cases_is_heard_as_one() -> None:
    assert len(speech(2)) == 16_000
    noticed = listen_to(speech(3))()
    assert sum(isinstance(event, SpeechStarted) for event in noticed) >= 1
    assert sum(isinstance(event, SpeechEnded) for event in listen_to(speech(1) + b"\xff" * 8000)()) == 1
    assert listen_to(b"\xff" * 16_000)() == []


def test_a_case_costs_as_many_loops_as_it_makes() -> None:
    report = micro.measure({"ten": Case("", FRAMES, lambda: busy(10)), "one": Case("", 1, lambda: busy(1))}, 9)
    assert report["cases"]["ten"]["loops"] == pytest.approx(10, rel=0.5)
    assert report["cases"]["one"]["loops"] == pytest.approx(1, rel=0.5)


def test_a_host_that_becomes_slow_changes_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    slowness = 1.0

    def cpu_ns() -> int:
        return int(now)

    def spin() -> int:
        nonlocal now
        now += 40_000 * slowness
        return 0

    def second() -> None:
        nonlocal now
        now += 120_000 * slowness

    monkeypatch.setattr(machine, "spin", spin)
    monkeypatch.setattr("time.thread_time_ns", cpu_ns)
    timed = micro.Timed(Case("", FRAMES, lambda: second))
    for slowness in (1.0, 1.5, 1.5, 1.5, 1.0):  # noqa: B007 - what the host is like by then
        timed.turn()
    figures = timed.figures()
    assert (figures["loops"], figures["spread"], figures["ns"]) == (3.0, 0.0, 120_000)


def test_the_command_leaves_its_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "micro.json"
    assert micro.main(["--quick", "--only", "windows", "media_out", "--out", str(out)]) == 0
    report = json.loads(out.read_text())
    assert (report["kind"], set(report["cases"])) == ("micro", {"windows", "media_out"})
    assert "a media message of 100 ms" in capsys.readouterr().out


def test_an_interpreter_without_what_is_needed_is_named_and_left_out(tmp_path: Path) -> None:
    bare = tmp_path / "python3.12"
    bare.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'numpy'\" >&2\nexit 1\n")
    bare.chmod(0o755)
    fine = tmp_path / "python3.13"
    fine.write_text("#!/bin/sh\necho 3.13.0\n")
    fine.chmod(0o755)
    said: list[str] = []
    found = pythons.usable([str(bare), str(tmp_path / "python3.14"), str(fine), str(fine)], said.append)
    assert found == {"3.13.0": str(fine)}
    assert ["numpy" in said[0], "No such file" in said[1], said[2]] == [True, True, "not measured: Python 3.11, 3.12"]


def test_interpreters_are_told_as_ratios_of_the_same_turn() -> None:
    quick, slow = {"a": 100.0, "b": 10.0}, {"a": 200.0, "b": 40.0}
    host = 1.5
    both = {
        "3.11.7": [quick, {name: host * ns for name, ns in quick.items()}],
        "3.13.0": [slow, {name: host * ns for name, ns in slow.items()}],
    }
    versions = pythons.summary(both)["versions"]
    assert versions["3.11.7"] == {"all": 1.0, "cases": {"a": 1.0, "b": 1.0}}
    assert versions["3.13.0"]["cases"] == {"a": 2.0, "b": 4.0}
    assert versions["3.13.0"]["all"] == pytest.approx(8**0.5, abs=0.001)
    assert "2.83" in pythons.table(pythons.summary(both))
