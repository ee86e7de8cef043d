"""Who is started, replaced, killed and stood in for. The children are real processes with nothing in them."""

import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio

from engine.workers.child import Launch
from engine.workers.link import Order
from engine.workers.policy import PAUSES_S
from engine.workers.pulse import Patience
from engine.workers.supervisor import Supervisor

pytestmark = pytest.mark.real_time

PROGRAM = str(Path(__file__).with_name("child_program.py"))
QUICK = Patience(silent_s=0.5, silent_together_s=1.5, silent_starting_s=5.0, ready_s=5.0, leave_s=2.0)
SLACK_S = 1.0  # of a busy machine: to start an interpreter, at most


@dataclass
class Crew:
    """A supervisor at work, what its children have noted, and how each is to behave: by its name, else ``good``."""

    supervisor: Supervisor
    log: Path
    behaviours: dict[str, str] = field(default_factory=dict)

    def noted(self) -> list[tuple[float, str, str]]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        parts = [line.split(" ", 2) for line in lines]
        return [(float(at), name, event) for at, name, event in parts]

    def events(self) -> list[str]:
        return [f"{name} {event}" for _, name, event in self.noted()]

    def ready(self) -> list[str]:
        return sorted(child.name for child in self.supervisor.children() if child.ready)

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        (child,) = [child for child in self.supervisor.children() if child.name == name]
        os.kill(child.pid, number)

    async def until(self, what: Callable[[], bool], within_s: float = 5.0) -> None:
        with trio.fail_after(within_s):
            while not what():
                await trio.sleep(0.01)


@asynccontextmanager
async def crew(tmp_path: Path, count: int = 2, patience: Patience = QUICK, **behaviours: str) -> AsyncIterator[Crew]:
    """``worker_0_1`` for the child ``worker-0.1``; ``stand_in`` for all of those."""
    log = tmp_path / "log"
    how = {name.replace("_", "-", 1).replace("_", "."): behaviour for name, behaviour in behaviours.items()}

    def command(name: str, link: int, _: int) -> list[str]:
        return [sys.executable, "-S", "-E", PROGRAM, str(link), str(log), name, how.get(name, how.get("all", "good"))]

    def stand_in(name: str, link: int, _: int) -> list[str]:
        return [sys.executable, "-S", "-E", PROGRAM, str(link), str(log), name, "good"]

    def environment(_: str) -> dict[str, str]:
        return dict(os.environ)

    supervisor = Supervisor(
        count=count,
        worker=Launch(command, environment),
        stand_in=Launch(stand_in, environment),
        patience=patience,
    )
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(supervisor.run)
            yield Crew(supervisor, log, how)
            supervisor.stop()
    assert supervisor.children() == []


async def test_all_are_started_and_end_when_the_service_does(tmp_path: Path) -> None:
    async with crew(tmp_path, 3) as at_work:
        await at_work.until(lambda: len(at_work.ready()) == 3)
    told = [event for event in at_work.events() if "told" in event]
    assert sorted(told) == [f"worker-{index}.1 told E" for index in range(3)]


async def test_the_first_is_ready_before_the_others_begin(tmp_path: Path) -> None:
    async with crew(tmp_path, 3, worker_0_1="never ready") as at_work:
        await at_work.until(lambda: at_work.events() == ["worker-0.1 started"])
        await trio.sleep(0.3)
        assert at_work.events() == ["worker-0.1 started"]


async def test_a_killed_worker_is_back_after_the_first_pause(tmp_path: Path) -> None:
    async with crew(tmp_path) as at_work:
        await at_work.until(lambda: len(at_work.ready()) == 2)
        began = trio.current_time()
        at_work.kill("worker-1.1")
        await at_work.until(lambda: at_work.ready() == ["worker-0.1", "worker-1.2"])
        assert PAUSES_S[0] <= trio.current_time() - began < PAUSES_S[0] * 1.25 + SLACK_S


async def test_a_worker_that_dies_again_and_again_is_waited_for_longer(tmp_path: Path) -> None:
    async with crew(tmp_path, worker_0_1="crash", worker_0_2="crash", worker_0_3="crash") as at_work:
        await at_work.until(lambda: "worker-0.3 started" in at_work.events())
        starts = [at for at, name, event in at_work.noted() if name.startswith("worker-0") and event == "started"]
        first, second = starts[1] - starts[0], starts[2] - starts[1]
        assert first < PAUSES_S[1] <= second < PAUSES_S[1] * 1.25 + SLACK_S


async def test_a_silent_worker_is_dumped_then_killed_then_replaced(tmp_path: Path) -> None:
    async with crew(tmp_path, worker_1_1="hang") as at_work:
        await at_work.until(lambda: "worker-1.2 started" in at_work.events())
        events = at_work.events()
        assert events.index("worker-1.1 dumped") < events.index("worker-1.2 started")


async def test_a_stopped_worker_is_killed_all_the_same(tmp_path: Path) -> None:
    async with crew(tmp_path) as at_work:
        await at_work.until(lambda: len(at_work.ready()) == 2)
        at_work.kill("worker-0.1", signal.SIGSTOP)
        await at_work.until(lambda: at_work.ready() == ["worker-0.2", "worker-1.1"])


async def test_a_worker_that_never_becomes_ready_is_killed_in_the_end(tmp_path: Path) -> None:
    patience = Patience(silent_s=0.5, silent_starting_s=2.0, ready_s=0.6, leave_s=2.0)
    async with crew(tmp_path, patience=patience, worker_0_1="never ready") as at_work:
        await at_work.until(lambda: "worker-0.2" in at_work.ready())


async def test_a_rolling_restart_never_has_fewer_than_all_ready(tmp_path: Path) -> None:
    async with crew(tmp_path, worker_0_1="slow to leave", worker_1_1="slow to leave") as at_work:
        await at_work.until(lambda: len(at_work.ready()) == 2)
        at_work.supervisor.roll()
        fewest = 2
        while at_work.ready() != ["worker-0.2", "worker-1.2"]:
            await trio.sleep(0.005)
            fewest = min(fewest, len(at_work.ready()))
        assert fewest == 2
        events = at_work.events()
        order = [
            "worker-0.2 started",
            "worker-0.1 told L",
            "worker-0.1 gone",
            "worker-1.2 started",
            "worker-1.1 told L",
        ]
        await at_work.until(lambda: "worker-1.1 told L" in at_work.events())
        events = at_work.events()
        assert sorted(order, key=events.index) == order


async def test_a_successor_that_does_not_come_up_leaves_the_old_one_in_place(tmp_path: Path) -> None:
    async with crew(tmp_path, worker_0_2="crash") as at_work:
        await at_work.until(lambda: len(at_work.ready()) == 2)
        at_work.supervisor.roll()
        await at_work.until(lambda: "worker-0.2 started" in at_work.events())
        await trio.sleep(0.3)
        assert at_work.ready() == ["worker-0.1", "worker-1.1"]
        assert "worker-1.2 started" not in at_work.events()


async def test_an_old_one_that_dies_while_its_successor_comes_up_is_not_started_twice(tmp_path: Path) -> None:
    async with crew(tmp_path, 1) as at_work:
        await at_work.until(lambda: len(at_work.ready()) == 1)
        at_work.supervisor.roll()
        await trio.lowlevel.checkpoint()
        at_work.kill("worker-0.1")
        await at_work.until(lambda: at_work.ready() == ["worker-0.2"])
        await trio.sleep(0.5)
        assert "worker-0.3 started" not in at_work.events()


async def test_a_crash_loop_ends_in_the_stand_in_which_leaves_when_a_worker_is_back(tmp_path: Path) -> None:
    async with crew(tmp_path, 1, worker_0_1="crash", worker_0_2="crash", worker_0_3="crash") as at_work:
        await at_work.until(lambda: at_work.ready() == ["stand-in.1"], 4)
        await at_work.until(lambda: at_work.ready() == ["worker-0.4"], 6)
        await at_work.until(lambda: "stand-in.1 gone" in at_work.events())
        assert "stand-in.1 told L" in at_work.events()


async def test_a_mistake_in_the_settings_ends_the_service_instead_of_looping(tmp_path: Path) -> None:
    async with crew(tmp_path, 2, worker_0_1="mistake") as at_work:
        await at_work.until(lambda: at_work.supervisor.mistaken)
    assert at_work.supervisor.mistaken


async def test_a_mistake_once_calls_have_been_served_does_not_end_the_service(tmp_path: Path) -> None:
    async with crew(tmp_path, worker_0_2="mistake") as at_work:
        await at_work.until(lambda: len(at_work.ready()) == 2)
        at_work.kill("worker-0.1")
        await at_work.until(lambda: "worker-0.3" in at_work.ready())
        assert not at_work.supervisor.mistaken


async def test_a_worker_that_does_not_go_is_killed(tmp_path: Path) -> None:
    patience = Patience(silent_s=5, leave_s=0.5)
    async with crew(tmp_path, 1, patience=patience, all="deaf") as at_work:
        await at_work.until(lambda: len(at_work.ready()) == 1)
        at_work.supervisor.stop()
        await at_work.until(lambda: not at_work.supervisor.children(), 2)


async def test_an_impatient_operator_is_obeyed(tmp_path: Path) -> None:
    async with crew(tmp_path, 1, all="slow to leave") as at_work:
        await at_work.until(lambda: len(at_work.ready()) == 1)
        at_work.supervisor.stop()
        at_work.supervisor.stop(Order.NOW)
        await at_work.until(lambda: not at_work.supervisor.children(), 2)
        assert any("N" in event for event in at_work.events() if "told" in event)


async def test_a_cancelled_supervisor_leaves_nobody_behind(tmp_path: Path) -> None:
    with trio.CancelScope() as scope:
        async with crew(tmp_path, 2, all="deaf") as at_work:
            await at_work.until(lambda: len(at_work.ready()) == 2)
            pids = [child.pid for child in at_work.supervisor.children()]
            scope.cancel()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
