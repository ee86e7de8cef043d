"""Requests are signed as the standard has it, with keys that are no other tenant's."""

import base64

import pytest
from pydantic import SecretStr

from engine.errors import ConfigurationError
from engine.sim.tool_requests import Received, Unacceptable, Verifier
from engine.tools.http_signing import ToolSecrets, signature_headers

KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # of the standard's own published example
OTHER = "whsec_" + base64.b64encode(b"x" * 32).decode()


def test_the_published_example_is_met() -> None:
    (key,) = ToolSecrets({"acme": {"signing": SecretStr(KEY)}}).keys("acme")
    headers = signature_headers([key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_every_tenant_has_a_key_of_its_own_that_stays() -> None:
    secrets = ToolSecrets(secret_key="operator")
    texts = {secrets.signing_text(tenant_id) for tenant_id in ("a", "b", "c")}
    assert len(texts) == 3
    assert all(text and text.startswith("whsec_") and len(base64.b64decode(text[6:])) == 32 for text in texts)
    assert ToolSecrets(secret_key="operator").signing_text("a") == secrets.signing_text("a")
    assert ToolSecrets(secret_key="another").signing_text("a") != secrets.signing_text("a")


def test_without_any_key_there_is_nothing_to_sign_with() -> None:
    assert ToolSecrets().keys("acme") == ()
    assert ToolSecrets({"other": {"signing": SecretStr(KEY)}}).keys("acme") == ()


def test_a_secret_is_its_own_tenants_only() -> None:
    secrets = ToolSecrets({"acme": {"token": SecretStr("abc")}}, secret_key="operator")
    assert secrets.named("acme", "token") == "abc"
    assert secrets.named("other", "token") is None
    assert secrets.all_of("acme") == ("abc", secrets.signing_text("acme"))


@pytest.mark.parametrize("known", [KEY, OTHER])
def test_while_a_key_is_replaced_receivers_of_either_are_satisfied(known: str) -> None:
    secrets = ToolSecrets({"acme": {"signing": SecretStr(KEY), "signing_before": SecretStr(OTHER)}})
    body = (
        b'{"tool": "t", "arguments": {}, "tenant": "acme", "call": "CA1", "caller": "", '
        b'"idempotency_key": "0123456789abcdef"}'
    )
    headers = {
        **signature_headers(secrets.keys("acme"), "0123456789abcdef", 1000, body),
        "idempotency-key": "0123456789abcdef",
        "frontdesk-tenant": "acme",
        "frontdesk-call": "CA1",
        "content-type": "application/json",
    }
    assert Verifier({"acme": known}).read(Received("POST", "/", headers, body, 1200.0)).tool == "t"
    with pytest.raises(Unacceptable, match="signature"):
        Verifier({"acme": KEY[:-2] + "AA"}).read(Received("POST", "/", headers, body, 1200.0))


@pytest.mark.parametrize(
    ("name", "secret", "said"),
    [
        ("token", "line\nbreak", "printable ASCII"),
        ("token", "", "printable ASCII"),
        ("token", "pässwörd", "printable ASCII"),
        ("signing", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "is no signing key; write whsec_"),
        ("signing", "whsec_c2hvcnQ=", "is no signing key"),
        ("signing_before", "whsec_***", "is not base64"),
    ],
)
def test_a_secret_that_cannot_be_used_is_named_and_not_shown(name: str, secret: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        ToolSecrets({"acme": {name: SecretStr(secret)}})
    assert f"acme.{name}" in str(refused.value)
    assert said in str(refused.value)
    assert len(secret) < 3 or secret.removeprefix("whsec_") not in str(refused.value)
