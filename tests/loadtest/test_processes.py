"""Whose processes a load test measures: the database is nobody's child, and is found by what it says of itself."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from engine.loadtest.processes import Usage, database_of, family


@pytest.mark.parametrize("said", [None, "", "nobody\n", "999999999\n"])
def test_where_there_is_no_database_nobody_is_taken_for_one(tmp_path: Path, said: str | None) -> None:
    if said is not None:
        (tmp_path / "postgres" / "cluster").mkdir(parents=True)
        (tmp_path / "postgres" / "cluster" / "postmaster.pid").write_text(said)
    assert database_of(tmp_path) == []


def test_the_database_is_whoever_holds_its_cluster(tmp_path: Path) -> None:
    (tmp_path / "postgres" / "cluster").mkdir(parents=True)
    (tmp_path / "postgres" / "cluster" / "postmaster.pid").write_text(f"{os.getpid()}\n/somewhere\n")
    assert database_of(tmp_path)[0].pid == os.getpid()


def test_a_process_that_has_gone_has_no_family() -> None:
    assert family(999_999_999) == []


def test_a_familys_cpu_is_still_counted_when_a_member_has_ended() -> None:
    busy = "import time\nwhile time.process_time() < 0.3: pass"
    first = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]]); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", first, busy], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()  # its child has ended
        used = Usage.of_families([psutil.Process(process.pid)])
        alone = Usage.of([psutil.Process(process.pid)])
        process.communicate(b"\n")
    assert used.cpu_s >= alone.cpu_s + 0.25
    assert used.rss_mib > 0
