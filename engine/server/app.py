"""The gateway as a whole: one port, one plane, and the order in which things begin and end.

    shielded: the media plane ......... ends last: lines close politely on it
    └─ lines: one task per media socket  outlives hypercorn's connections, so no timeout of its ends a call
       └─ http: hypercorn .............. ends first: nobody can come in any more

Readiness is false until all of it stands. There are two ways to go, and live calls go on for ``settings.drain_s`` in
both. ``shutdown``: nobody else is there, so HTTP is answered until the last call has ended, new calls with the static
script. ``leave``: others serve the same port, so the door is closed at once, and new calls are theirs.
"""

import logging
import socket
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Sockets
from hypercorn.trio.run import worker_serve
from quart import Blueprint, Response
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from engine.errors import ConfigurationError
from engine.log import get_logger
from engine.server import front_door
from engine.server.health import health_blueprint
from engine.server.invitations import Invitations
from engine.server.media import MediaEntrance
from engine.server.ops import serve_ops
from engine.server.ops_calls import ops_calls_blueprint
from engine.server.ports import Gateway
from engine.server.readiness import Phase, Readiness
from engine.server.reception import Reception
from engine.server.webhooks import BODY_BYTES, BODY_S, webhook_blueprint
from engine.telephony.plane import MediaPlane

BACKLOG = 512
KEEP_ALIVE_S = 75.0  # longer than the usual proxy's 60 s, so that it is never we who close under a request
GRACE_S = 3.0  # for requests in flight when hypercorn ends; calls are not its business
HEAD_BYTES = 16 * 1024
MOVING_S = 3.0  # for lines to be closed, and what was said on them to be written down
LAST_ANSWERS_S = 5.0
# A caller who hung up may be back within 6 s, and only then has the call ended. Whoever leaves before that leaves the
# end to others, who find it minutes later.
HUNG_UP_S = 7.0

log = get_logger("server.app")


@dataclass(frozen=True, slots=True)
class Serving:
    """Where the gateway listens. ``port`` is the real one where 0 was asked for."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """For a client on this machine."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class _Going:
    shutdown: trio.Event
    leave: trio.Event

    async def wait(self) -> bool:
        """Wait for either; True where nobody else is there."""
        async with trio.open_nursery() as nursery:

            async def wait_for(event: trio.Event) -> None:
                await event.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(wait_for, self.shutdown)
            nursery.start_soon(wait_for, self.leave)
        return not self.leave.is_set()


@dataclass(frozen=True, slots=True)
class _Parts:
    app: QuartTrio
    entrance: MediaEntrance
    readiness: Readiness
    new_pages: Callable[[], Blueprint]


def build_app(gateway: Gateway) -> QuartTrio:
    """The HTTP application alone, as ``serve_gateway`` serves it; for the in-process client of a test."""
    return _build(gateway).app


def _build(gateway: Gateway) -> _Parts:
    readiness, invitations = Readiness(), Invitations(gateway.tokens)
    entrance = MediaEntrance(gateway, invitations, readiness)
    reception = Reception(gateway, invitations, entrance, readiness)
    app = QuartTrio("engine.server", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = BODY_BYTES
    app.config["BODY_TIMEOUT"] = BODY_S
    app.register_blueprint(webhook_blueprint(gateway, reception))
    new_pages = partial(health_blueprint, gateway, readiness, entrance)
    app.register_blueprint(new_pages())

    @app.errorhandler(HTTPException)
    async def say_briefly(error: HTTPException) -> Response:
        return Response(f"{error.name}\n", error.code or 500, content_type="text/plain")

    return _Parts(app, entrance, readiness, new_pages)


async def serve_gateway(
    gateway: Gateway,
    *,
    shutdown: trio.Event,
    leave: trio.Event | None = None,
    listener: socket.socket | None = None,
    task_status: trio.TaskStatus[Serving] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until asked to go and drained; or until cancelled, which ends live calls.

    Args:
        shutdown: set to ask the gateway to go, as the last one.
        leave: set to ask it to go while others accept from the same socket.
        listener: a listening socket, which is closed in the end; None listens on ``settings.bind``.

    Raises:
        ConfigurationError: the address cannot be listened on.
    """
    parts = _build(gateway)
    going = _Going(shutdown, trio.Event() if leave is None else leave)
    with ExitStack() as stack:
        sock = stack.enter_context(listener or listen(gateway.settings.bind))
        stack.enter_context(front_door.installed())
        async with trio.open_nursery() as outer:
            plane_scope = await outer.start(_run_plane, gateway.plane)
            try:
                async with trio.open_nursery() as lines:
                    await _serve_http(gateway, parts, sock, lines, going, task_status)
                    if not parts.readiness.draining:
                        await _drain(gateway, parts, alone=False)
                    parts.readiness.phase = Phase.STOPPED
                    lines.cancel_scope.cancel()
            finally:
                plane_scope.cancel()


def listen(bind: str, setting: str = "FRONTDESK_BIND") -> socket.socket:
    """A listening socket on ``host:port``; port 0 takes any that is free. ``setting`` is where that was written.

    Raises:
        ConfigurationError: it cannot be had.
    """
    host, _, port = bind.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, int(port)), family=family, backlog=BACKLOG)
    except OSError as error:
        raise ConfigurationError(f"cannot listen on {bind} ({error.strerror}); change {setting}") from None


async def _run_plane(plane: MediaPlane, *, task_status: trio.TaskStatus[trio.CancelScope]) -> None:
    # Shielded: when all of us is cancelled the lines still need it, for the second that a polite close takes.
    with trio.CancelScope(shield=True) as scope:
        task_status.started(scope)
        await plane.run()


async def _serve_http(
    gateway: Gateway,
    parts: _Parts,
    sock: socket.socket,
    lines: trio.Nursery,
    going: _Going,
    task_status: trio.TaskStatus[Serving],
) -> None:
    drained = trio.Event()

    @parts.app.after_request
    async def say_that_it_was_the_last(response: Response) -> Response:
        if drained.is_set():
            response.headers["connection"] = "close"  # or a proxy would use the connection again as we close it
        return response

    def take_socket(taken: socket.socket, head: bytes) -> None:
        lines.start_soon(parts.entrance.serve_line, taken, head)

    serve = partial(
        worker_serve,
        ASGIWrapper(parts.app),
        _hypercorn_config(take_socket),
        sockets=Sockets([], [sock], []),
        shutdown_trigger=drained.wait,
    )
    async with trio.open_nursery() as http:
        await http.start(serve)
        host, port = sock.getsockname()[:2]
        parts.readiness.phase = Phase.SERVING
        log.info("serving", host=host, port=port)
        task_status.started(Serving(host, port))
        if gateway.settings.ops_bind is not None:
            open_socket = partial(listen, gateway.settings.ops_bind, "FRONTDESK_OPS_BIND")
            pages = (parts.new_pages(), ops_calls_blueprint(gateway, parts.readiness))
            http.start_soon(serve_ops, pages, open_socket, drained)
        if await going.wait():
            await _drain(gateway, parts, alone=True)
        else:
            log.info("leaving the port to others", calls=gateway.switchboard.statistics().calls_now)
        drained.set()  # whatever has been accepted is still answered, as usual


async def _drain(gateway: Gateway, parts: _Parts, *, alone: bool) -> None:
    """Wait for the calls on the line; those that last too long are moved: to others, or to the static script."""
    switchboard = gateway.switchboard
    parts.readiness.phase = Phase.DRAINING
    switchboard.begin_drain()
    log.info("draining", calls=switchboard.statistics().calls_now, patience_s=gateway.settings.drain_s)
    served = switchboard.statistics().calls_now > 0
    with trio.move_on_after(gateway.settings.drain_s):
        await parts.entrance.wait_empty()
    if not (left := switchboard.statistics().calls_now):
        if served and not alone:
            await trio.sleep(HUNG_UP_S)
        return
    log.warning("drain ended with calls on the line: moving them", calls=left)
    switchboard.move_all()
    with trio.move_on_after(MOVING_S):
        await parts.entrance.wait_empty()
    await switchboard.flush()
    # The carrier asks what to do with each caller when it has noticed the end of the stream; where nobody else answers,
    # that is on us. Else it is for those who hung up by themselves just before that we stay.
    await trio.sleep(LAST_ANSWERS_S if alone else HUNG_UP_S)


def _hypercorn_config(take_socket: front_door.TakeSocket) -> front_door.DoorConfig:
    config = front_door.DoorConfig()
    config.take_socket = take_socket
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn.error")  # through the process's own handlers
    config.loglevel = "WARNING"
    config.graceful_timeout = GRACE_S
    config.keep_alive_timeout = KEEP_ALIVE_S
    config.h11_max_incomplete_size = HEAD_BYTES
    config.include_server_header = False
    return config
