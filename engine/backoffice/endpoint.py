"""What a route takes and gives, said beside its handler: strict models in, models out, and OpenAPI made of both.

    @pages.post("/<slug:tenant_id>/things")
    @gives(Thing, 201)
    @takes(NewThing)
    @requires("write")
    async def add(tenant_id: str, body: NewThing) -> tuple[Thing, int]: ...

Bodies are JSON as RFC 8259 has it, of the types that the model names (no "5" for 5), without unknown fields; queries
are read from text. Whatever else is sent is refused with every mistake named.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Annotated, Any, Generic, ParamSpec, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from quart_schema import document_headers, document_querystring, document_request, document_response

from engine.backoffice.reading import JSON, read_headers, read_query
from engine.backoffice.reading import read_json as read_json  # handlers that decide by themselves when to read

CONSUMES = "_frontdesk_consumes"
PRODUCES = "_frontdesk_produces"

A = ParamSpec("A")
M = TypeVar("M", bound=BaseModel)
Handler = TypeVar("Handler", bound=Callable[..., Awaitable[Any]])


class Body(BaseModel):
    """Base of what is taken and given: nothing unknown, nothing changed, no number that JSON has not."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:  # at the edge of the years that there are, where an hour makes no difference
        return value.replace(tzinfo=UTC)


def _written_out(value: object) -> object:
    if isinstance(value, str) and ("T" not in value.upper()):
        raise ValueError("write a date and time with its offset, such as 2026-03-14T09:30:00+01:00")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_written_out), AfterValidator(_in_utc)]
"""ISO 8601 with offset; given out in UTC."""


class Paging(Body):
    """``?limit=&cursor=``: pages, newest first; a page's ``next_cursor`` asks for the one after it."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Annotated[str, Field(pattern=r"^[0-9a-f]{1,16}$")] | None = None

    @property
    def before(self) -> int | None:
        """Everything asked for was kept before this (``kept_order``); None: from the newest on."""
        return None if self.cursor is None else min(int(self.cursor, 16), (1 << 63) - 1)


class NamePaging(Body):
    """``?limit=&cursor=`` of what is listed by name."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Annotated[str, Field(pattern=r"^([0-9a-f]{2}){1,600}$")] | None = None

    @property
    def after(self) -> str:
        """The name after which to go on; empty: from the first."""
        return "" if self.cursor is None else bytes.fromhex(self.cursor).decode("utf-8", "replace").replace("\x00", "")


def name_cursor(name: str) -> str:
    """What asks for the names after this one."""
    return name.encode().hex()


class Page(Body, Generic[M]):
    """One page. ``next_cursor`` is null on the last."""

    items: list[M]
    next_cursor: str | None


def cursor_of(kept_order: int) -> str:
    """What asks for everything that was kept before this one."""
    return f"{kept_order:x}"


P = TypeVar("P", bound=Page[Any])


def page(model: type[P], items: list[Any], orders: list[int], paging: Paging) -> P:
    """A page of what was found with ``limit=paging.limit``; ``orders`` are the items' ``kept_order``."""
    full = len(items) == paging.limit
    return model(items=items, next_cursor=cursor_of(orders[-1]) if full else None)


def takes(model: type[BaseModel], *, media_type: str = JSON) -> Callable[[Handler], Handler]:
    """The handler's ``body`` is this model, read from JSON."""

    def decorate(handler: Handler) -> Handler:
        @document_request(model)
        @wraps(handler)
        async def read(*args: Any, **kwargs: Any) -> Any:
            return await handler(*args, body=await read_json(model, media_type), **kwargs)

        setattr(read, CONSUMES, {media_type: None})
        return read  # type: ignore[return-value]  # the same to whoever registers it: a coroutine function

    return decorate


def takes_as_is(model: type[BaseModel], *, media_types: tuple[str, ...] = (JSON,)) -> Callable[[Handler], Handler]:
    """The handler reads its body itself; this is what it takes it for."""

    def mark(handler: Handler) -> Handler:
        document_request(model)(handler)
        setattr(handler, CONSUMES, dict.fromkeys(media_types))
        return handler

    return mark


def told(model: type[BaseModel]) -> Callable[[Handler], Handler]:
    """The handler's ``headers`` is this model: the request's headers of its names (``if_match`` for ``If-Match``)."""

    def decorate(handler: Handler) -> Handler:
        @document_headers(model)
        @wraps(handler)
        async def read(*args: Any, **kwargs: Any) -> Any:
            return await handler(*args, headers=read_headers(model), **kwargs)

        return read  # type: ignore[return-value]

    return decorate


def takes_bytes(*media_types: str) -> Callable[[Handler], Handler]:
    """The handler reads its body itself, as bytes of one of these types."""

    def mark(handler: Handler) -> Handler:
        document = {"type": "string", "format": "binary"}
        setattr(handler, CONSUMES, dict.fromkeys(media_types, document))
        return handler

    return mark


def asks(model: type[BaseModel]) -> Callable[[Handler], Handler]:
    """The handler's ``query`` is this model, read from the query string. Without it a query is refused."""

    def decorate(handler: Handler) -> Handler:
        @document_querystring(model)
        @wraps(handler)
        async def read(*args: Any, **kwargs: Any) -> Any:
            return await handler(*args, query=read_query(model), **kwargs)

        return read  # type: ignore[return-value]

    return decorate


def gives(
    model: type[BaseModel], status: int = 200, headers: type[BaseModel] | None = None
) -> Callable[[Callable[A, Awaitable[Any]]], Callable[A, Awaitable[Any]]]:
    """The handler returns this model: alone, or with the status, or with that and headers."""

    def decorate(handler: Callable[A, Awaitable[Any]]) -> Callable[A, Awaitable[Any]]:
        @document_response(model, status, headers)
        @wraps(handler)
        async def dump(*args: A.args, **kwargs: A.kwargs) -> Any:
            match await handler(*args, **kwargs):
                case (given, *rest):
                    return (_plain(given), *rest)
                case given:
                    return _plain(given), status

        return dump

    return decorate


def _plain(given: Any) -> Any:
    return given.model_dump(mode="json", by_alias=True) if isinstance(given, BaseModel) else given


def gives_bytes(media_type: str, what: str, status: int = 200) -> Callable[[Handler], Handler]:
    """The handler returns a ``Response`` of this media type."""

    def mark(handler: Handler) -> Handler:
        setattr(handler, PRODUCES, {**getattr(handler, PRODUCES, {}), status: (media_type, what)})
        return handler

    return mark


def gives_nothing(what: str, status: int = 204) -> Callable[[Handler], Handler]:
    """The handler returns ``"", 204``."""
    return gives_bytes("", what, status)
