"""Whose processes a load test measures: the database is nobody's child, and is found by what it says of itself."""

import os
from pathlib import Path

import pytest

from engine.loadtest.processes import database_of, family


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
