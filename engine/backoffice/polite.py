"""Answers that arrive, also where they came before the whole request had: a refusal does not wait for a body.

Two things are in the way. A connection that is closed with bytes unread is reset, and takes the answer with it: so what
is still to come is read, within reason, and after that the client is told to close. And quart-trio cancels a request's
tasks as soon as hypercorn says that its stream has ended, which it does from within sending the last of the answer:
half way through making the connection ready for the next request, or closing it, and then neither ever happens.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import trio
from quart import Response, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

Message: TypeAlias = Any  # ASGI's; each framework has types of its own for it
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

REST_S = 5.0
REST_BYTES = 1_000_000


def install(app: QuartTrio) -> None:
    """Have the rest of each request read before its answer goes out. Before all other ``after_request`` hooks."""

    @app.after_request
    async def take_the_rest(response: Response) -> Response:
        if not await _taken():
            response.headers["connection"] = "close"
        return response


async def _taken() -> bool:
    """Whether all of the request is here now."""
    if (request.content_length or 0) > REST_BYTES and not request.body._complete.is_set():  # nothing public says so
        return False
    try:
        with trio.fail_after(REST_S):
            await request.get_data(cache=True, as_text=False, parse_form_data=False)
    except (HTTPException, trio.TooSlowError):
        return False
    return True


def to_the_end(app: Callable[[Any, Receive, Send], Awaitable[None]]) -> Callable[[Any, Receive, Send], Awaitable[None]]:
    """The same ASGI application, of whose answers the last piece is always sent whole."""

    async def serve(scope: Any, receive: Receive, send: Send) -> None:
        async def send_whole(message: Message) -> None:
            is_last = message["type"] == "http.response.body" and not message.get("more_body", False)
            with trio.CancelScope(shield=is_last):
                await send(message)

        await app(scope, receive, send_whole)

    return serve
