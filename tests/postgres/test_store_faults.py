"""The short form of the table's rows about the database: a brief call under each of the two worst faults."""

from pathlib import Path

import pytest

from bench.adversity.store_rows import FAULTS, ROWS, open_stage
from bench.adversity.types import GROUPS, broken
from engine.store.embedded import EmbeddedServer
from engine.store.pghome import Home
from engine.voice.cache import VoiceCache
from tests.postgres.conftest import copied

pytestmark = pytest.mark.real_time

BRIEFLY = ("database-slow", "disk-full")


async def test_calls_go_on_and_what_they_left_is_there_once(made: Home, tmp_path: Path, speech: VoiceCache) -> None:
    """In real time."""
    bars = {row.name: row.bars for row in ROWS}
    with EmbeddedServer(copied(made, tmp_path / "server")) as server:
        async with open_stage(tmp_path, speech._directory, server.address.host) as stage:
            for name in BRIEFLY:
                (run,) = (await stage.under(name, [0], brief=True)).values()
                assert broken(bars[name], run) == (), name
                assert run.answered == run.asked == 1, name


def test_every_fault_is_a_row() -> None:
    assert [row.name for row in ROWS] == list(FAULTS)
    assert {row.group for row in ROWS} <= set(GROUPS)
    assert all(row.real_time for row in ROWS)
