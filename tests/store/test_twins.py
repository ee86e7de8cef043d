"""The twins of ``Store``, ``FollowUps`` and ``Usage`` that need nothing; PostgreSQL's are in ``tests/postgres``."""

from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import MisuseError
from engine.store.files import FileStore
from engine.store.memory import MemoryStore
from engine.store.spool import Keeper, SpooledStore
from tests.store.suites.records import *  # noqa: F403
from tests.store.suites.records import a_follow_up, a_usage, an_end

TWINS: dict[str, Callable[[Path], Keeper]] = {
    "memory": lambda _: MemoryStore(),
    "files": lambda path: FileStore(path / "spool" / "deep"),
    "spooled": lambda path: SpooledStore(MemoryStore(), path / "spool"),
}


@pytest.fixture(params=TWINS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Keeper:
    return TWINS[request.param](tmp_path)


def under(path: Path, pattern: str) -> list[Path]:
    return list(path.rglob(pattern))


@pytest.mark.parametrize("name", ["", "../up", "a/b"])
async def test_a_refused_record_leaves_no_trace_on_the_disk(store: Keeper, name: str, tmp_path: Path) -> None:
    with pytest.raises(MisuseError):
        await store.keep_call(an_end(call_sid=name))
    with pytest.raises(MisuseError):
        await store.keep_follow_up(a_follow_up(key=name))
    with pytest.raises(MisuseError):
        await store.keep_usage(a_usage(kind=name))
    assert under(tmp_path, "*") == []
