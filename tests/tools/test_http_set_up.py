"""Endpoints that can never work are refused when a tenant is set up; the others take their place in the catalog."""

import httpx
import pytest
from pydantic import SecretStr

from engine.errors import ConfigurationError
from engine.messages import Effect
from engine.tenants.tenant import ToolEndpoint as EndpointOfDocument
from engine.tenants.tenant import ToolSpec
from engine.tools.catalog import Catalog, standard_catalog
from engine.tools.http_guard import AddressGuard
from engine.tools.http_signing import ToolSecrets
from engine.tools.http_tool import HttpTools
from tests.tools.http_room import SECRETS, a_tenant
from tests.tools.room import PARAMETERS, TENANT

URL = "http://127.0.0.1/tools"


def tools_of(secrets: ToolSecrets, *, allow_private: bool = True) -> Catalog:
    client = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200)))
    return standard_catalog(HttpTools(client, AddressGuard(allow_private=allow_private), secrets))


@pytest.mark.parametrize(
    ("secrets", "allow_private", "said"),
    [
        (ToolSecrets(), True, "endpoint: requests cannot be signed; set FRONTDESK_SECRET_KEY"),
        (ToolSecrets(secret_key="k"), True, "auth.secret: 'backend' is not kept; add it to FRONTDESK_TOOL_SECRETS"),
        (ToolSecrets({"other": {"backend": SecretStr("x")}}, secret_key="k"), True, "'backend' is not kept"),
        (SECRETS, False, "endpoint.url: http is not safe"),
    ],
)
def test_an_endpoint_that_can_never_work_is_refused_at_set_up(
    secrets: ToolSecrets, allow_private: bool, said: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        tools_of(secrets, allow_private=allow_private).for_tenant(a_tenant(URL))
    assert str(refused.value).startswith("tenant acme: tools: look: endpoint")
    assert said in str(refused.value)


def test_without_http_tools_an_endpoint_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no HTTP tools are set up"):
        standard_catalog().for_tenant(a_tenant(URL))


def test_a_tenants_endpoint_takes_the_place_of_a_tool_that_ships() -> None:
    where = EndpointOfDocument(url=URL, idempotent=True)
    spec = ToolSpec(
        name="book_appointment", description="", parameters=PARAMETERS, effect=Effect.WRITES, endpoint=where
    )
    offered = tools_of(SECRETS).for_tenant(TENANT.model_copy(update={"tools": (spec,)}))["book_appointment"]
    assert offered.tool.idempotent
    assert offered.tool.once_per_call
    assert offered.tool.spec == spec
