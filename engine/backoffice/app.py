"""The back office as an application, and how it is served.

One blueprint a resource, in ``BLUEPRINTS``; what all of them share (who may, errors, idempotency, OpenAPI) is installed
round them here. The document is at ``/openapi.json``, its pages at ``/docs``: from our own origin, nothing is fetched
from elsewhere.
"""

import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config, Sockets
from hypercorn.trio.run import worker_serve
from quart import Blueprint, current_app, request
from quart_schema import Info, QuartSchema
from quart_schema.openapi import HttpSecurityScheme
from quart_schema.validation import QUART_SCHEMA_QUERYSTRING_ATTRIBUTE
from quart_trio import QuartTrio

import engine
from engine.backoffice import (
    access,
    api_bills,
    api_calls,
    api_keys,
    api_knowledge,
    api_live,
    api_numbers,
    api_recordings,
    api_retention,
    api_script,
    api_tenants,
    api_tools,
    api_usage,
    api_webhooks,
    api_work,
    docs,
    health,
    metrics_page,
    once,
    ops,
    phone,
    polite,
    problems,
)
from engine.backoffice.endpoint import PRODUCES
from engine.backoffice.office import Office
from engine.backoffice.openapi import CONVERTERS, Provider
from engine.backoffice.problems import CONTENT_TYPE, Problem
from engine.backoffice.reading import JSON
from engine.log import get_logger
from engine.server.app import listen

# One line a resource; made in this order.
BLUEPRINTS: tuple[Callable[[Office], Blueprint], ...] = (
    docs.blueprint,
    health.blueprint,
    metrics_page.blueprint,
    api_tenants.blueprint,
    api_numbers.blueprint,
    api_knowledge.blueprint,
    api_tools.blueprint,
    api_script.blueprint,
    api_calls.blueprint,
    api_recordings.blueprint,
    api_retention.blueprint,
    api_work.blueprint,
    api_keys.blueprint,
    api_live.blueprint,
    api_usage.blueprint,
    api_bills.blueprint,
    api_webhooks.blueprint,
    ops.blueprint,
    phone.blueprint,
)

LONGEST_BODY = 50_000_000  # what a knowledge file may have; everything else is held to less where it is read
BODY_S = 60.0
GRACE_S = 5.0
HEAD_BYTES = 16 * 1024

log = get_logger("backoffice.app")


@dataclass(frozen=True, slots=True)
class Serving:
    """Where it listens. ``port`` is the real one where 0 was asked for."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """For a client on this machine."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def build_backoffice(office: Office) -> QuartTrio:
    """The application. Raises ``LookupError`` where a route under ``/v1`` does not say who may ask for it."""
    app = QuartTrio("engine.backoffice", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = LONGEST_BODY
    app.config["BODY_TIMEOUT"] = BODY_S
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False  # nobody else's pages call us, so nobody has to ask first
    app.url_map.merge_slashes = False  # an id is what it says, not what is left of it
    app.url_map.converters |= CONVERTERS
    problems.install(app)
    QuartSchema(
        app,
        info=Info(title="Frontdesk", version=engine.__version__, description=docs.ABOUT),
        redoc_ui_path=None,
        scalar_ui_path=None,
        swagger_ui_path=None,
        security_schemes={"token": HttpSecurityScheme(scheme="bearer")},
        security=[{"token": []}],
        openapi_provider_class=Provider,
    )
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint(office))
    polite.install(app)
    access.install(app, office)
    once.install(app, office)
    app.before_request(_refuse_what_no_route_takes)
    return app


async def _refuse_what_no_route_takes() -> None:
    """A query where none is read, and answers in a form that there is not."""
    rule = request.url_rule
    if rule is None or not rule.rule.startswith("/v1"):
        return
    view = _view_of(rule.endpoint)
    if request.args and not hasattr(view, QUART_SCHEMA_QUERYSTRING_ATTRIBUTE):
        raise Problem(422, f"no query is read here: {', '.join(sorted(request.args))[:200]}", kind="invalid")
    offered = [media_type for media_type, _ in getattr(view, PRODUCES, {}).values() if media_type] or [JSON]
    if request.accept_mimetypes and not request.accept_mimetypes.best_match([*offered, CONTENT_TYPE]):
        raise Problem(406, f"this is given as {' or '.join(offered)}")


def _view_of(endpoint: str) -> Callable[..., object]:
    view: Callable[..., object] = current_app.view_functions[endpoint]
    return view


async def serve_backoffice(
    office: Office,
    *,
    shutdown: trio.Event,
    listener: socket.socket | None = None,
    task_status: trio.TaskStatus[Serving] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until ``shutdown`` is set, and what has been asked is answered.

    Args:
        listener: a listening socket, which is closed in the end; None listens on ``settings.backoffice_bind``.

    Raises:
        ConfigurationError: the address cannot be listened on.
    """
    app = build_backoffice(office)
    with listener or listen(office.settings.backoffice_bind, "FRONTDESK_BACKOFFICE_BIND") as sock:
        async with trio.open_nursery() as nursery:

            async def serve(*, task_status: trio.TaskStatus[object]) -> None:
                await worker_serve(
                    ASGIWrapper(polite.to_the_end(app)),
                    _hypercorn_config(),
                    sockets=Sockets([], [sock], []),
                    shutdown_trigger=shutdown.wait,
                    task_status=task_status,
                )

            await nursery.start(serve)
            host, port = sock.getsockname()[:2]
            log.info("back office", host=host, port=port)
            if office.settings.admin_token is None:
                log.warning("no FRONTDESK_ADMIN_TOKEN: nobody is the operator, and no tenant can be made here")
            task_status.started(Serving(host, port))


def _hypercorn_config() -> Config:
    config = Config()
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn.error")
    config.loglevel = "WARNING"
    config.graceful_timeout = GRACE_S
    config.h11_max_incomplete_size = HEAD_BYTES
    config.include_server_header = False
    return config
