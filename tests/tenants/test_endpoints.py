"""Endpoints of tools in tenant documents: what cannot work, or not safely, is refused with place and cure."""

import json
from typing import Any

import pytest

from engine.errors import ConfigurationError
from engine.tenants.documents import parse_tenant
from engine.tenants.tenant import Tenant, ToolEndpoint

GOOD: dict[str, Any] = {"url": "https://tools.example.com:8443/v1/book?desk=1"}


def parse(effect: str = "writes", **endpoint: Any) -> Tenant:
    tool = {"name": "book", "description": "Books.", "effect": effect, "endpoint": {**GOOD, **endpoint}}
    document = {"id": "acme", "name": "Acme", "greeting": "Hi.", "tools": [tool]}
    return parse_tenant(json.dumps(document), origin="acme.json")


def test_an_endpoint_says_little_and_means_the_safe_thing() -> None:
    endpoint = parse().tools[0].endpoint
    assert endpoint == ToolEndpoint(url=GOOD["url"], method="POST", auth=None, idempotent=False, retries=2)
    auth = parse(auth={"secret": "backend"}).tools[0].endpoint
    assert auth is not None
    assert auth.auth is not None
    assert (auth.auth.header, auth.auth.scheme) == ("Authorization", "Bearer")
    assert parse("reads", method="GET", retries=0).tools[0].endpoint is not None


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        ({"url": "ftp://tools.example.com/"}, "url: 'ftp://tools.example.com/' is no web address; write it like"),
        ({"url": "tools.example.com/x"}, "is no web address"),
        ({"url": "https:///x"}, "is no web address"),
        ({"url": "https://tools.example.com:99999/"}, "is no web address"),
        ({"url": "https://tools.example.com:0/"}, "is no web address"),
        ({"url": "https://tools.example.com/a b"}, "is no web address"),
        ({"url": "https://tools.example.com/\r\nHost: x"}, "is no web address"),
        ({"url": "https://[::1/"}, "is no web address"),
        ({"url": "https://münchen.example/"}, "is no web address"),
        ({"url": "https://user:pw@tools.example.com/"}, "url: holds a password; name a secret in endpoint.auth"),
        ({"url": "https://tools.example.com/#x"}, "is never sent; remove it"),
        ({"url": ""}, "tools.0.endpoint.url: "),
        ({"method": "GET"}, "method: GET may be repeated"),
        ({"method": "DELETE"}, "tools.0.endpoint.method: 'DELETE'"),
        ({"retries": 6}, "tools.0.endpoint.retries: 6"),
        ({"retries": -1}, "tools.0.endpoint.retries: -1"),
        ({"token": "abc"}, "tools.0.endpoint.token: no such field"),
        ({"auth": {"token": "abc"}}, "tools.0.endpoint.auth.secret: missing; add it"),
        ({"auth": {"secret": "$HOME"}}, "tools.0.endpoint.auth.secret: '$HOME'"),
        ({"auth": {"secret": "a", "scheme": "Bearer\r\nX"}}, "tools.0.endpoint.auth.scheme"),
        ({"auth": {"secret": "a", "header": "X: y"}}, "tools.0.endpoint.auth.header: 'X: y'"),
        ({"auth": {"secret": "a", "header": "Host"}}, "auth.header: Host is set by us; write another"),
        ({"auth": {"secret": "a", "header": "Idempotency-Key"}}, "is set by us"),
        ({"auth": {"secret": "a", "header": "Webhook-Signature"}}, "is set by us"),
        ({"auth": {"secret": "a", "header": "FRONTDESK-Tenant"}}, "is set by us"),
    ],
)
def test_an_endpoint_that_cannot_work_names_place_and_cure(endpoint: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse(**endpoint)
    assert str(refused.value).startswith("acme.json: tools.0.endpoint")
    assert said in str(refused.value)
    assert ":pw@" not in str(refused.value)
