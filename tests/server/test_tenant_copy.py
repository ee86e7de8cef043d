"""The copy serves the tenants that were kept, of the same database, or nobody."""

import stat
from pathlib import Path

import orjson
import pytest
from pydantic import SecretStr

from engine.config import Settings
from engine.server.tenant_copy import copy_path, keep_copy, read_cached_tenants
from engine.tenants import examples
from engine.tenants.tenant import Tenant

URL = "postgresql://frontdesk:one@db.internal:5432/frontdesk"
TENANTS = (Tenant(id="acme", name="Acme", greeting="Hi.", numbers=("+15550100100",)), examples.load("olive-and-ember"))


def told(data_dir: Path, url: str | None = URL) -> Settings:
    return Settings(data_dir=data_dir, database_url=None if url is None else SecretStr(url))


def test_what_was_kept_is_read_again(tmp_path: Path) -> None:
    keep_copy(told(tmp_path / "new"), TENANTS[:1])
    keep_copy(told(tmp_path / "new"), TENANTS)
    assert read_cached_tenants(told(tmp_path / "new")) == TENANTS


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    keep_copy(told(tmp_path), TENANTS)
    assert stat.S_IMODE(copy_path(told(tmp_path)).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [copy_path(told(tmp_path)).name], "nothing unfinished is left"


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("postgresql://another:two@db.internal:5432/frontdesk", True),
        ("postgresql://frontdesk:one@db.internal:5432/staging", False),
        ("postgresql://frontdesk:one@elsewhere:5432/frontdesk", False),
        ("postgresql://frontdesk:one@/frontdesk?host=/run/postgres", False),
        (None, False),
    ],
)
def test_it_belongs_to_one_database_whoever_logs_in(tmp_path: Path, url: str | None, same: bool) -> None:
    keep_copy(told(tmp_path), TENANTS)
    assert bool(read_cached_tenants(told(tmp_path, url))) is same


def test_databases_on_two_sockets_are_two(tmp_path: Path) -> None:
    keep_copy(told(tmp_path, "postgresql://me@/frontdesk?host=/run/one"), TENANTS)
    assert read_cached_tenants(told(tmp_path, "postgresql://me@/frontdesk?host=/run/one&sslmode=disable")) == TENANTS
    assert read_cached_tenants(told(tmp_path, "postgresql://me@/frontdesk?host=/run/two")) == ()


@pytest.mark.parametrize("data", [b"", b'{"format": 1', b"[]", b"7"])
def test_a_copy_that_is_none_serves_nobody(tmp_path: Path, data: bytes) -> None:
    copy_path(told(tmp_path)).write_bytes(data)
    assert read_cached_tenants(told(tmp_path)) == ()


def test_a_copy_of_another_form_serves_nobody(tmp_path: Path) -> None:
    keep_copy(told(tmp_path), TENANTS)
    kept = orjson.loads(copy_path(told(tmp_path)).read_bytes())
    copy_path(told(tmp_path)).write_bytes(orjson.dumps(kept | {"format": kept["format"] + 1}))
    assert read_cached_tenants(told(tmp_path)) == ()


def test_no_copy_serves_nobody(tmp_path: Path) -> None:
    assert read_cached_tenants(told(tmp_path / "nowhere")) == ()


def test_a_tenant_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    keep_copy(told(tmp_path), TENANTS)
    kept = orjson.loads(copy_path(told(tmp_path)).read_bytes())
    kept["tenants"][0]["numbers"] = "none"
    copy_path(told(tmp_path)).write_bytes(orjson.dumps(kept))
    assert read_cached_tenants(told(tmp_path)) == TENANTS[1:]


def test_a_disk_that_fails_costs_the_copy_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    keep_copy(told(tmp_path / "file"), TENANTS)
