"""The tenants as last read from the database: what a gateway serves whose database is away at its start.

    DATA_DIR/tenants-copy.json      {"format": 1, "database": <which>, "tenants": [document, ...]}

Readable by its owner alone, and whole or not there: written under another name, synced and renamed. A copy belongs to
one database (address and name, whoever logs in), so that tenants of another are never served by mistake.
"""

import os
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import orjson
from pydantic import ValidationError

from engine.config import Settings
from engine.log import get_logger
from engine.tenants.tenant import Tenant

FORMAT = 1
NAME = "tenants-copy.json"

log = get_logger("server.tenant_copy")


def copy_path(settings: Settings) -> Path:
    """Where the copy is, if there is one."""
    return settings.data_dir / NAME


def read_cached_tenants(settings: Settings) -> tuple[Tenant, ...]:
    """The tenants that were last known, by id; none where there is no copy of this database, or none that can be read.

    Blocking: some milliseconds for a hundred. A single tenant that cannot be read is left out, and logged.
    """
    path = copy_path(settings)
    try:
        kept = orjson.loads(path.read_bytes())
        if kept["format"] != FORMAT:
            log.warning("the local copy of the tenants is another version's", path=str(path), format=kept["format"])
            return ()
        if kept["database"] != which_database(settings):
            log.warning("the local copy of the tenants is another database's", path=str(path))
            return ()
        documents = list(kept["tenants"])
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("the local copy of the tenants cannot be read", path=str(path), error=repr(error))
        return ()
    return tuple(tenant for document in documents if (tenant := _read(document, path)) is not None)


def keep_copy(settings: Settings, tenants: Sequence[Tenant]) -> None:
    """Replace the copy. Blocking. Never raises for a disk that fails: the copy is for later, the tenants are there."""
    path = copy_path(settings)
    documents = [tenant.model_dump(mode="json", by_alias=True) for tenant in tenants]
    data = orjson.dumps({"format": FORMAT, "database": which_database(settings), "tenants": documents})
    try:
        _write(path, data)
    except OSError as error:
        log.warning("no local copy of the tenants could be kept", path=str(path), error=repr(error))


def which_database(settings: Settings) -> str:
    """Names a database by its address, port and name, or hosts in the query; not by who logs in, nor with what."""
    if settings.database_url is None:
        return "embedded"
    url = urlsplit(settings.database_url.get_secret_value())
    address = url.netloc.rpartition("@")[2]
    hosts = sorted(part for part in url.query.split("&") if part.partition("=")[0] in {"host", "port", "dbname"})
    return sha256("\n".join((address, url.path, *hosts)).encode()).hexdigest()


def _read(document: object, path: Path) -> Tenant | None:
    try:
        return Tenant.model_validate(document)
    except ValidationError as error:
        named = document.get("id") if isinstance(document, dict) else None
        log.error("a tenant of the local copy cannot be read", path=str(path), tenant_id=named, detail=str(error))
        return None


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{uuid4().hex[:12]}")
    try:
        with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
