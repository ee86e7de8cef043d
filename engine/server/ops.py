"""The health pages, metrics and live calls of this process alone, on a port of their own.

With several workers on one public port nobody knows which of them answers there. An operator's tools ask here.
"""

import socket
from collections.abc import Callable, Sequence

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config, Sockets
from hypercorn.trio.run import worker_serve
from quart import Blueprint
from quart_trio import QuartTrio

from engine.errors import ConfigurationError
from engine.log import get_logger

BETWEEN_S = 1.0
BODY_BYTES = 16 * 1024
BODY_S = 5.0

log = get_logger("server.ops")


async def serve_ops(pages: Sequence[Blueprint], open_socket: Callable[[], socket.socket], ended: trio.Event) -> None:
    """Serve those pages until ``ended`` is set.

    Args:
        open_socket: raises ``ConfigurationError`` where the port is taken: by a predecessor, which has it until it
            leaves. It is waited for, and nothing else waits meanwhile.
    """
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_serve, pages, open_socket)
        await ended.wait()
        nursery.cancel_scope.cancel()


async def _serve(pages: Sequence[Blueprint], open_socket: Callable[[], socket.socket]) -> None:
    app = QuartTrio("engine.server.ops", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = BODY_BYTES
    app.config["BODY_TIMEOUT"] = BODY_S
    for blueprint in pages:
        app.register_blueprint(blueprint)
    config = Config()
    config.accesslog = config.errorlog = None
    with await _wait_for(open_socket) as sock:
        log.info("ops pages", port=sock.getsockname()[1])
        await worker_serve(
            ASGIWrapper(app), config, sockets=Sockets([], [sock], []), shutdown_trigger=trio.sleep_forever
        )


async def _wait_for(open_socket: Callable[[], socket.socket]) -> socket.socket:
    told = False
    while True:
        try:
            return open_socket()
        except ConfigurationError as error:
            if not told:
                log.warning("ops pages wait for their port", detail=str(error))
            told = True
            await trio.sleep(BETWEEN_S)
