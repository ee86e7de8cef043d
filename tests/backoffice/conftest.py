"""The application over a real PostgreSQL, and those who ask: the operator, and tenants' keys. In real time."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from quart import Response
from quart_trio import QuartTrio

from engine.backoffice.app import build_backoffice
from engine.backoffice.keys import new_key_id, new_secret
from engine.backoffice.office import Office, open_office
from engine.config import Settings
from engine.retrieval.minilm import MiniLm
from engine.store.tenants import TenantDocument
from engine.tenants import examples
from engine.tenants.tenant import Tenant
from tests.postgres.conftest import _empty, cluster, made, url

__all__ = ["cluster", "made", "url"]  # the fixtures of the store's own tests

TOKEN = "operators-token"
KEY = "a secret of these tests"


def settings_for(url: str, data_dir: Path, **given: Any) -> Settings:
    """Settings of a test: that database, and nothing of the environment."""
    return Settings(
        _env_file=None,  # type: ignore[call-arg]  # known to pydantic-settings, not to its plugin
        database_url=SecretStr(url),
        data_dir=data_dir,
        admin_token=SecretStr(TOKEN),
        secret_key=SecretStr(KEY),
        embeddings="offline",
        backoffice_bind="127.0.0.1:0",
        **given,
    )


_loaded = cache(MiniLm.load)


@pytest.fixture(scope="module", autouse=True)
def _one_model() -> Iterator[None]:
    """The embedder's weights are read once for all of these tests; other rooms' tests load them as ever."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MiniLm, "load", _loaded)
        yield


@dataclass
class Desk:
    """Somebody who asks the application."""

    app: QuartTrio
    token: str | None

    async def ask(self, method: str, path: str, json: Any = None, **given: Any) -> Response:
        headers = dict(given.pop("headers", {}))
        if self.token is not None:
            headers.setdefault("authorization", f"Bearer {self.token}")
        if json is not None:
            given["json"] = json
        return await self.app.test_client().open(path, method=method, headers=headers, **given)

    async def get(self, path: str, **given: Any) -> Any:
        """The body of an answer that has to be 200."""
        response = await self.ask("GET", path, **given)
        assert response.status_code == 200, (path, response.status_code, await response.get_data(as_text=True))
        return await response.get_json()


@pytest.fixture
async def office(url: str, tmp_path: Path) -> AsyncIterator[Office]:
    """Open, and empty whatever the test before left in it."""
    async with open_office(settings_for(url, tmp_path)) as opened:
        await opened.database.as_owner(_empty)
        yield opened


@pytest.fixture
async def app(office: Office) -> QuartTrio:
    return build_backoffice(office)


@pytest.fixture
async def operator(app: QuartTrio) -> Desk:
    return Desk(app, TOKEN)


async def there(office: Office, example: str) -> Tenant:
    """That example in the database; what its document knows is not read in, which takes a second."""
    tenant = examples.load(example).model_copy(update={"knowledge": ()})
    document = tenant.model_dump(mode="json", by_alias=True)
    await office.tenants.put(TenantDocument(tenant.id, document, tenant.numbers))
    return tenant


@pytest.fixture
async def dental(office: Office) -> Tenant:
    """A tenant that is there."""
    return await there(office, "harbor-dental")


@pytest.fixture
async def plumbing(office: Office) -> Tenant:
    """Another."""
    return await there(office, "kessler-plumbing")


async def key_of(office: Office, tenant: Tenant, *scopes: str) -> str:
    """A new key of this tenant."""
    key_id = new_key_id()
    text, digest = new_secret(tenant.id, key_id)
    await office.keys.add(tenant.id, key_id, name="test", scopes=scopes, digest=digest, created_by="test")
    return text
