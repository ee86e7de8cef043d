"""``Idempotency-Key``: a POST that was done is not done again when it comes again; its answer is given once more.

Kept for a day, for each asker apart, sealed: an answer may hold a secret that is shown once, and names of callers. Only
what was done is remembered; after a refusal the same key may be tried again. Another body under a key is a mistake
(422), a second request while the first is being answered has to wait (409).
"""

import base64
from hashlib import sha256

import orjson
import trio
from cryptography.fernet import Fernet, InvalidToken
from quart import Response, g, request
from quart_trio import QuartTrio

from engine.backoffice.office import Office
from engine.backoffice.problems import Problem
from engine.errors import RemoteError
from engine.log import get_logger
from engine.store.postgres_audit import OPERATOR
from engine.store.postgres_idempotency import Answered, Busy, Mine, OtherRequest

HEADER = "idempotency-key"
REPLAYED = "idempotency-replayed"
LONGEST = 128
KEEPING_S = 5.0  # it was done: that has to be written down also where the asker has gone
REPEATED_HEADERS = ("content-type", "location", "etag")

log = get_logger("backoffice.once")


def install(app: QuartTrio, office: Office) -> None:
    """Honour it on every POST under ``/v1``. After ``access.install``, whose ``g.who`` it needs."""

    @app.before_request
    async def claim() -> Response | None:
        if request.method != "POST" or "who" not in g or (key := request.headers.get(HEADER)) is None:
            return None
        if not 1 <= len(key) <= LONGEST or not key.isascii() or not key.isprintable():
            raise Problem(422, f"{HEADER}: write 1 to {LONGEST} printable ASCII characters", kind="invalid")
        mine = ((request.view_args or {}).get("tenant_id") or OPERATOR, g.who.name, key)
        return await _claim(office, mine, sha256(await _asked()).digest())

    @app.after_request
    async def settle(response: Response) -> Response:
        if (mine := g.get("once")) is not None:
            with trio.move_on_after(KEEPING_S, shield=True):
                await _settle(office, mine, response)
        return response

    @app.teardown_request
    async def let_go(_: BaseException | None) -> None:
        # Only where there was no response to settle: the asker hung up before it was answered. Whether it was done is
        # not known, so the claim stays, and is over with its lease.
        g.pop("once", None)


async def _claim(office: Office, mine: tuple[str, str, str], digest: bytes) -> Response | None:
    match await office.answers.claim(*mine, digest):
        case Mine():
            g.once = mine
            return None
        case Busy():
            raise Problem(409, "the same request is being answered", kind="in-flight", headers={"retry-after": "1"})
        case OtherRequest():
            raise Problem(422, f"this {HEADER} was used for another request", kind="key-reused")
        case Answered(answer):
            return _opened(office, mine, answer)


async def _asked() -> bytes:
    """What makes two requests the same."""
    body = await request.get_data(cache=True, as_text=False, parse_form_data=False)
    head = "\0".join((request.method, request.full_path, request.mimetype or ""))
    return head.encode("utf-8", "surrogatepass") + b"\0" + body


async def _settle(office: Office, mine: tuple[str, str, str], response: Response) -> None:
    g.pop("once")
    try:
        if response.status_code < 300:
            await office.answers.keep(*mine, await _sealed(office, mine, response))
        else:
            await office.answers.drop(*mine)
    except RemoteError as error:
        log.error("an answer could not be kept for repeating", path=request.path, detail=str(error))


async def _sealed(office: Office, mine: tuple[str, str, str], response: Response) -> bytes:
    body = await response.get_data(as_text=False)
    headers = {name: response.headers[name] for name in REPEATED_HEADERS if name in response.headers}
    plain = orjson.dumps([response.status_code, headers, base64.b64encode(body).decode()])
    return _seal(office, mine).encrypt(plain)


def _opened(office: Office, mine: tuple[str, str, str], answer: bytes) -> Response:
    try:
        status, headers, body = orjson.loads(_seal(office, mine).decrypt(answer))
    except InvalidToken:
        # Sealed by a process with another secret; without FRONTDESK_SECRET_KEY every process has its own.
        raise Problem(409, "it was done, but its answer cannot be read any more", kind="done-before") from None
    return Response(base64.b64decode(body), status, headers={**headers, REPLAYED: "true"})


def _seal(office: Office, mine: tuple[str, str, str]) -> Fernet:
    key = sha256(b"\0".join((b"answer", office.secret, *(part.encode() for part in mine)))).digest()
    return Fernet(base64.urlsafe_b64encode(key))
