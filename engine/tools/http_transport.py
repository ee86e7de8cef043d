"""The way out for tools: httpx over connections that are made to checked addresses only.

httpx takes no say in how it connects, httpcore does: so this is httpx's own bridge to httpcore, with our network
backend below it. Certificates are checked against the name, although the connection is made to an address.

Every request has a connection of its own. A kept one may be closed by the peer just as it is written to, and then
nobody knows whether a write was done; nor would its address be looked at again. So what a connection may bring in is
what an answer may hold, and it is measured there: whatever is wrong with an answer comes up through httpcore as an
error, which ends its generators in order, where stopping half-way would leave them to the garbage collector.
"""

import ssl
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpcore
import httpx
import trio

from engine.errors import ToolFailed
from engine.tools.http_guard import AddressGuard

CONNECT_S = 3.0  # for one address, where there are more
LARGEST_ANSWER = 64 * 1024  # bytes of body
LARGEST_HEAD = 32 * 1024  # bytes of head, and of what frames the body
USER_AGENT = "frontdesk"

# The most specific first.
_HTTPX_OF: tuple[tuple[type[Exception], type[httpx.TransportError]], ...] = (
    (httpcore.ConnectError, httpx.ConnectError),
    (httpcore.ConnectTimeout, httpx.ConnectTimeout),
    (httpcore.ReadError, httpx.ReadError),
    (httpcore.WriteError, httpx.WriteError),
    (httpcore.RemoteProtocolError, httpx.RemoteProtocolError),
    (httpcore.LocalProtocolError, httpx.LocalProtocolError),
    (httpcore.UnsupportedProtocol, httpx.UnsupportedProtocol),
    (httpcore.TimeoutException, httpx.TimeoutException),
    (httpcore.NetworkError, httpx.NetworkError),
    (httpcore.ProtocolError, httpx.ProtocolError),
)


def tool_client(guard: AddressGuard, *, ssl_context: ssl.SSLContext | None = None) -> httpx.AsyncClient:
    """The client that all tools of a process share; its lifetime is the composition root's.

    It follows no redirect, keeps no cookie and no connection, reads no proxy or password from the environment, and has
    no deadlines of its own: the tool's are cancel scopes.
    """
    return httpx.AsyncClient(
        transport=GuardedTransport(guard, ssl_context=ssl_context),
        timeout=None,  # noqa: S113 - see above
        follow_redirects=False,
        trust_env=False,
        # One tenant's cookies would be sent with the next one's request to the same host.
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        headers={"user-agent": USER_AGENT, "accept": "application/json", "accept-encoding": "identity"},
    )


class GuardedTransport(httpx.AsyncBaseTransport):
    """An httpx transport whose connections go where the guard allows."""

    def __init__(self, guard: AddressGuard, *, ssl_context: ssl.SSLContext | None = None) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl_context or httpx.create_ssl_context(),  # honours SSL_CERT_FILE, else carries its own roots
            max_connections=None,  # bounded for each tenant, where they are asked for
            max_keepalive_connections=0,
            network_backend=GuardedBackend(guard),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """See httpx."""
        assert isinstance(request.stream, httpx.AsyncByteStream)
        with _as_httpx():
            answer = await self._pool.handle_async_request(
                httpcore.Request(
                    method=request.method,
                    url=httpcore.URL(
                        scheme=request.url.raw_scheme,
                        host=request.url.raw_host,
                        port=request.url.port,
                        target=request.url.raw_path,
                    ),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        return httpx.Response(
            answer.status, headers=answer.headers, stream=_Body(answer.stream), extensions=answer.extensions
        )

    async def aclose(self) -> None:
        """See httpx."""
        await self._pool.aclose()


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects to checked addresses, one after the other until one answers."""

    def __init__(self, guard: AddressGuard) -> None:
        self._guard = guard
        self._trio = httpcore.TrioBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """See httpcore.

        Raises:
            ToolFailed: the name has no address, or one that may not be reached.
        """
        *others, last = await self._guard.addresses(host, port)
        for address in others:
            try:
                with trio.fail_after(CONNECT_S):
                    tcp = await self._trio.connect_tcp(address, port, timeout, local_address, socket_options)
                    return MeasuredStream(tcp)
            except (httpcore.ConnectError, httpcore.ConnectTimeout, trio.TooSlowError):
                continue
        return MeasuredStream(await self._trio.connect_tcp(last, port, timeout, local_address, socket_options))

    async def sleep(self, seconds: float) -> None:
        """See httpcore."""
        await trio.sleep(seconds)


class MeasuredStream(httpcore.AsyncNetworkStream):
    """A connection that brings in one answer, and not more than one may hold."""

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner
        self._left = LARGEST_ANSWER + LARGEST_HEAD

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """See httpcore.

        Raises:
            ToolFailed: that was too much.
        """
        data = await self._inner.read(max_bytes, timeout)
        self._left -= len(data)
        if self._left < 0:
            raise ToolFailed(f"its answer is longer than {LARGEST_ANSWER} bytes", kind="huge")
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """See httpcore."""
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        """See httpcore."""
        await self._inner.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        """See httpcore. From here on what is within TLS is measured."""
        return MeasuredStream(await self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        """See httpcore."""
        return self._inner.get_extra_info(info)


class _Body(httpx.AsyncByteStream):
    def __init__(self, stream: Any) -> None:  # httpcore's stream, for which it has no public name
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx():
            async for part in self._stream:
                yield part

    async def aclose(self) -> None:
        await self._stream.aclose()


@contextmanager
def _as_httpx() -> Iterator[None]:
    try:
        yield
    except tuple(core for core, _ in _HTTPX_OF) as error:
        kind = next(ours for core, ours in _HTTPX_OF if isinstance(error, core))
        raise kind(str(error)) from error
