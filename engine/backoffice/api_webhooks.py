"""``.../webhooks``: where a tenant's own systems want to be told, and what became of each telling.

A secret is in one answer only: the one that makes it. What is sent is signed as Standard Webhooks has it.
"""

from typing import Annotated, Literal
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
from pydantic import Field
from quart import Blueprint

from engine.backoffice.access import requires
from engine.backoffice.endpoint import Body, Moment, Page, Paging, asks, gives, gives_nothing, page, takes
from engine.backoffice.office import Office
from engine.backoffice.problems import Mistake, Problem
from engine.errors import ConfigurationError
from engine.store.postgres_webhooks import MOST_ENDPOINTS, Webhooks
from engine.store.webhooks import Delivery, Endpoint
from engine.tools.http_guard import AddressGuard
from engine.webhooks.seal import Sealer, new_secret

EventType = Literal[
    "call.started", "call.ended", "message.taken", "task.created", "appointment.booked", "escalation", "usage.closed"
]
Url = Annotated[str, Field(pattern=r"^https?://[\x21-\x7e]{1,1990}$")]
Description = Annotated[str, Field(max_length=500)]
Events = Annotated[list[EventType], Field(max_length=7)]


class NewWebhook(Body):
    """Where to tell, and of what; no events: of all."""

    url: Url
    description: Description = ""
    events: Events = Field(default_factory=list)


class WebhookChange(Body):
    """What is to be otherwise. Turned off, what waits becomes dead letters; turned on, they can be replayed."""

    url: Url | None = None
    description: Description | None = None
    events: Events | None = None
    state: Literal["on", "off"] | None = None


class WebhookItem(Body):
    """An endpoint. ``failed``: turned off by us, after it had taken nothing for days."""

    id: str
    url: str
    description: str
    events: list[str]
    state: Literal["on", "off", "failed"]
    failing_since: Moment | None
    created_at: Moment


class WebhookWithSecret(WebhookItem):
    """An endpoint with its secret, which is not shown again."""

    secret: str


class WebhookList(Page[WebhookItem]):
    """Endpoints."""


class DeliveryItem(Body):
    """One event on its way to one endpoint. ``gone``: what it told of was deleted before it could be told."""

    webhook: str
    event_id: str
    type: str
    call_sid: str
    at: Moment
    state: Literal["waiting", "done", "dead", "gone"]
    attempts: int
    next_at: Moment | None
    status: int | None
    error: str
    settled_at: Moment | None


class Deliveries(Page[DeliveryItem]):
    """What was told, or will be."""


class DeliveryFilter(Paging):
    """Which of them."""

    webhook: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$")] | None = None
    state: Literal["waiting", "done", "dead", "gone"] | None = None
    call_sid: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$")] | None = None


class Replayed(Body):
    """How many are sent once more."""

    replayed: int


class TestEvent(Body):
    """The event that was made."""

    event_id: str


def blueprint(office: Office) -> Blueprint:
    """See the module."""
    pages = Blueprint("webhooks", __name__, url_prefix="/v1/tenants/<slug:tenant_id>")
    webhooks = Webhooks(office.database)
    key = office.settings.secret_key
    sealer = Sealer(key.get_secret_value() if key else None)
    guard = AddressGuard(allow_private=office.settings.tools_allow_private)

    @pages.get("/webhooks")
    @gives(WebhookList)
    @asks(Paging)
    @requires("admin")
    async def endpoints(tenant_id: str, query: Paging) -> Page[WebhookItem]:
        """A tenant's endpoints, newest first."""
        found = await webhooks.endpoints(tenant_id, before=query.before, limit=query.limit)
        return page(WebhookList, [_item(one) for one in found], [one.kept_order for one in found], query)

    @pages.post("/webhooks")
    @gives(WebhookWithSecret, 201)
    @takes(NewWebhook)
    @requires("admin")
    async def create(tenant_id: str, body: NewWebhook) -> tuple[WebhookWithSecret, int, dict[str, str]]:
        """A new endpoint, told of what happens from now on."""
        _check_url(guard, body.url)
        endpoint_id, secret = f"wh-{uuid4().hex[:20]}", new_secret()
        made = await webhooks.add(
            tenant_id,
            endpoint_id,
            url=body.url,
            description=body.description,
            events=tuple(dict.fromkeys(body.events)),
            secret=sealer.seal(tenant_id, endpoint_id, secret),
        )
        if made is None:
            raise Problem(409, f"a tenant has {MOST_ENDPOINTS} endpoints at most", kind="too-many")
        return _shown(made, secret), 201, {"location": f"/v1/tenants/{tenant_id}/webhooks/{endpoint_id}"}

    @pages.get("/webhooks/<name:webhook_id>")
    @gives(WebhookItem)
    @requires("admin")
    async def endpoint(tenant_id: str, webhook_id: str) -> WebhookItem:
        """One endpoint."""
        return _item(_there(await webhooks.get(tenant_id, webhook_id)))

    @pages.patch("/webhooks/<name:webhook_id>")
    @gives(WebhookItem)
    @takes(WebhookChange)
    @requires("admin")
    async def change(tenant_id: str, webhook_id: str, body: WebhookChange) -> WebhookItem:
        """Change it, or turn it on or off."""
        if body.url is not None:
            _check_url(guard, body.url)
        changed = await webhooks.change(
            tenant_id,
            webhook_id,
            url=body.url,
            description=body.description,
            events=None if body.events is None else tuple(dict.fromkeys(body.events)),
            state=body.state,
        )
        return _item(_there(changed))

    @pages.delete("/webhooks/<name:webhook_id>")
    @gives_nothing("It is gone, with what was on its way there.")
    @requires("admin")
    async def delete(tenant_id: str, webhook_id: str) -> tuple[str, int]:
        """Tell it nothing more."""
        if not await webhooks.drop(tenant_id, webhook_id):
            raise Problem(404, "no such webhook")
        return "", 204

    @pages.post("/webhooks/<name:webhook_id>/rotate")
    @gives(WebhookWithSecret)
    @requires("admin")
    async def rotate(tenant_id: str, webhook_id: str) -> WebhookWithSecret:
        """A new secret; for a day the one before it signs too."""
        secret = new_secret()
        sealed = sealer.seal(tenant_id, webhook_id, secret)
        return _shown(_there(await webhooks.rotate(tenant_id, webhook_id, sealed)), secret)

    @pages.post("/webhooks/<name:webhook_id>/test")
    @gives(TestEvent, 202)
    @requires("admin")
    async def test(tenant_id: str, webhook_id: str) -> tuple[TestEvent, int]:
        """Have an event of type ``test`` sent there."""
        if _there(await webhooks.get(tenant_id, webhook_id)).state != "on":
            raise Problem(409, "this endpoint is not on", kind="off")
        event_id = f"evt_{uuid4().hex}"
        if not await webhooks.send_test(tenant_id, webhook_id, event_id):
            raise Problem(404, "no such webhook")
        return TestEvent(event_id=event_id), 202

    @pages.post("/webhooks/<name:webhook_id>/replay")
    @gives(Replayed)
    @requires("admin")
    async def replay_dead(tenant_id: str, webhook_id: str) -> Replayed:
        """Send every dead letter of this endpoint once more."""
        if _there(await webhooks.get(tenant_id, webhook_id)).state != "on":
            raise Problem(409, "turn the endpoint on first", kind="off")
        return Replayed(replayed=await webhooks.replay(tenant_id, webhook_id))

    @pages.post("/webhooks/<name:webhook_id>/deliveries/<name:event_id>/replay")
    @gives(Replayed)
    @requires("admin")
    async def replay_one(tenant_id: str, webhook_id: str, event_id: str) -> Replayed:
        """Send one event there once more, whatever became of it."""
        if _there(await webhooks.get(tenant_id, webhook_id)).state != "on":
            raise Problem(409, "turn the endpoint on first", kind="off")
        if not await webhooks.replay(tenant_id, webhook_id, event_id):
            raise Problem(404, "no such delivery")
        return Replayed(replayed=1)

    @pages.get("/webhook-deliveries")
    @gives(Deliveries)
    @asks(DeliveryFilter)
    @requires("admin")
    async def deliveries(tenant_id: str, query: DeliveryFilter) -> Page[DeliveryItem]:
        """What was told, or will be, newest first."""
        found = await webhooks.deliveries(
            tenant_id,
            before=query.before,
            limit=query.limit,
            endpoint_id=query.webhook,
            state=query.state,
            call_sid=query.call_sid,
        )
        return page(Deliveries, [_delivery(one) for one in found], [one.kept_order for one in found], query)

    return pages


def _check_url(guard: AddressGuard, url: str) -> None:
    """What can be said of an address before anybody knocks there; the sender looks again, each time."""
    try:
        parsed = httpx.URL(url)
        if not parsed.host or parsed.userinfo or parsed.fragment or urlsplit(url).port == 0:  # or no port at all
            raise ConfigurationError("url: a host is needed, and neither user, password nor fragment")
        guard.check_url(url, "url")
    except (ConfigurationError, httpx.InvalidURL, ValueError) as error:
        mistake = Mistake(at="body.url", says=str(error).removeprefix("url: "))
        raise Problem(422, "the body cannot be used", kind="invalid", mistakes=(mistake,)) from None


def _there(endpoint: Endpoint | None) -> Endpoint:
    if endpoint is None:
        raise Problem(404, "no such webhook")
    return endpoint


def _item(endpoint: Endpoint) -> WebhookItem:
    return WebhookItem(
        id=endpoint.endpoint_id,
        url=endpoint.url,
        description=endpoint.description,
        events=list(endpoint.events),
        state=endpoint.state,
        failing_since=endpoint.failing_since,
        created_at=endpoint.created_at,
    )


def _shown(endpoint: Endpoint, secret: str) -> WebhookWithSecret:
    return WebhookWithSecret(**_item(endpoint).model_dump(), secret=secret)


def _delivery(one: Delivery) -> DeliveryItem:
    return DeliveryItem(
        webhook=one.endpoint_id,
        event_id=one.event_id,
        type=one.type,
        call_sid=one.call_sid,
        at=one.at,
        state=one.state,
        attempts=one.attempts,
        next_at=one.next_at if one.state == "waiting" else None,
        status=one.status,
        error=one.error,
        settled_at=one.settled_at,
    )
