"""Every error of the API, as RFC 9457 problem details: one shape, one content type, whatever went wrong.

``raise Problem(404, "no such call")`` anywhere in a handler. What is raised by others is turned into one here:
werkzeug's (no such path, too large), the store's (away), ours about a document (``ConfigurationError``), and, last, a
bug of ours, which is logged with its traceback and told without it.
"""

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from quart import Response
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from engine.errors import ConfigurationError, EmbedderUnavailable, StoreUnavailable
from engine.log import get_logger

CONTENT_TYPE = "application/problem+json"
AWAY_S = 2  # how soon to ask again while something of ours is away
SAID = 300  # characters of a refused value that are repeated

log = get_logger("backoffice.problems")


class Mistake(BaseModel):
    """One thing wrong with what was sent: where (``body.greeting``, ``query.limit``), and what."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: str
    says: str


class ProblemDetails(BaseModel):
    """What an error's body is.

    Attributes:
        type: a name of the kind of problem that stays the same; ``about:blank`` where the status says it all.
        detail: what is wrong this time, and the cure, for people.
        mistakes: where it is about what was sent: each, with its place.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str
    title: str
    status: int
    detail: str = ""
    mistakes: tuple[Mistake, ...] = ()


class Problem(Exception):
    """An answer other than what was asked for."""

    def __init__(
        self,
        status: int,
        detail: str = "",
        *,
        kind: str = "",
        mistakes: tuple[Mistake, ...] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        """``kind``: one word with dashes for machines, such as ``number-taken``."""
        super().__init__(detail)
        self.details = ProblemDetails(
            type=f"urn:frontdesk:problem:{kind}" if kind else "about:blank",
            title=HTTPStatus(status).phrase,
            status=status,
            detail=detail,
            mistakes=mistakes,
        )
        self.headers = headers or {}

    @classmethod
    def of_validation(cls, error: ValidationError, place: str, *, status: int = 422) -> "Problem":
        """What pydantic says about a body or a query."""
        mistakes = tuple(
            Mistake(at=".".join(map(str, (place, *one["loc"])))[:SAID], says=one["msg"][:SAID])
            for one in error.errors(include_url=False, include_context=False, include_input=False)
        )
        return cls(status, f"the {place} cannot be used", kind="invalid", mistakes=mistakes)

    def response(self) -> Response:
        """As it goes out."""
        return Response(
            self.details.model_dump_json(),
            self.details.status,
            headers={**self.headers, "cache-control": "no-store"},
            content_type=CONTENT_TYPE,
        )


def install(app: QuartTrio) -> None:
    """Have all errors of this application answered so."""

    async def answer(error: Exception) -> Response:
        return as_problem(error).response()

    for kind in (Problem, HTTPException, StoreUnavailable, EmbedderUnavailable, ConfigurationError, Exception):
        app.register_error_handler(kind, answer)


def as_problem(error: Exception) -> Problem:
    """Whatever was raised, as the asker is told of it."""
    match error:
        case Problem():
            return error
        case HTTPException():
            return _of_http(error)
        case StoreUnavailable() | EmbedderUnavailable():
            # Whether a write was done is not known: that is what Idempotency-Key is for.
            log.error("a peer was away while the API was asked", detail=str(error))
            what = "database" if isinstance(error, StoreUnavailable) else "embedding model"
            retry = {"retry-after": str(AWAY_S)}
            return Problem(503, f"the {what} cannot be reached now", kind="unavailable", headers=retry)
        case ConfigurationError():
            return Problem(422, str(error), kind="unusable")
        case _:
            # The edge of a request: a bug costs this request, and its traceback is for us alone.
            log.error("the API crashed", exc_info=error)
            return Problem(500, "this is our fault, and has been logged", kind="crashed")


def _of_http(error: HTTPException) -> Problem:
    headers: dict[str, Any] = {name.lower(): value for name, value in error.get_headers() if name.lower() == "allow"}
    return Problem(error.code or 500, error.description or "", headers=headers)
