"""The carrier's HTTP requests: verified, parsed, answered, counted. What is said to them is decided in ``reception``.

Nothing is believed before its signature: no token configured, no signature, or a wrong one is a 403. The signature
covers the URL as the carrier knows it, so it is built from the configured public address, never from ``Host``.
"""

from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl

from quart import Blueprint, Response, request
from werkzeug.exceptions import RequestEntityTooLarge, RequestTimeout

from engine.log import get_logger
from engine.server.ports import Gateway
from engine.server.reception import Answer, CarrierRequest, Reception
from engine.wire.twilio_signature import is_valid

BODY_BYTES = 64 * 1024
BODY_S = 10.0
FIELDS_MOST = 500
CALL_SID_CHARS = 64  # 34 in fact, but it is theirs to say
FORM = "application/x-www-form-urlencoded"

log = get_logger("server.webhooks")


class _Refused(Exception):
    """Not answered. ``reason`` is for metrics and the body."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def webhook_blueprint(gateway: Gateway, reception: Reception) -> Blueprint:
    """All paths under ``/twilio``; each takes POST and GET, with and without a slash at its end."""
    pages = Blueprint("twilio", __name__, url_prefix="/twilio")
    speaking = {
        "voice": reception.voice,
        "recover": reception.recover,
        "dial-done": reception.dial_done,
        "recording": reception.recording,
    }
    notices = {"status": reception.status, "stream-status": reception.stream_status, "amd": reception.amd}
    for name, handler in (speaking | notices).items():
        last_resort = reception.last_resort if name in {"voice", "recover"} else reception.excuse
        view = _view(gateway, name, handler, last_resort if name in speaking else None)
        pages.add_url_rule(f"/{name}", name, view, methods=["GET", "POST"], strict_slashes=False)
    return pages


def _view(
    gateway: Gateway,
    name: str,
    handler: Callable[[CarrierRequest], Awaitable[Answer]],
    last_resort: Callable[[CarrierRequest], Answer] | None,
) -> Callable[[], Awaitable[Response]]:
    def count(result: str) -> None:
        gateway.metrics.webhooks.labels(name, result).inc()

    async def view() -> Response:
        try:
            asked = await _read_verified(gateway)
        except _Refused as refused:
            count(refused.reason)
            log.warning("carrier request refused", path=name, reason=refused.reason)
            return Response(f"{refused.reason}\n", refused.status, content_type="text/plain")
        try:
            answer = await handler(asked)
        except Exception as error:  # a caller waits on the line: whatever failed, there must be something to say
            gateway.metrics.crashes.labels("webhook").inc()
            log.error("a webhook's own code failed", path=name, call_sid=asked.call_sid, exc_info=error)
            if last_resort is None:
                count("failed")
                return Response("failed\n", 500, content_type="text/plain")
            answer = last_resort(asked)
        count(answer.result)
        if answer.twiml is None:
            return Response(b"", 204)
        return Response(answer.twiml, content_type="text/xml; charset=utf-8")

    return view


async def _read_verified(gateway: Gateway) -> CarrierRequest:
    query = request.query_string.decode("latin-1")
    path = request.path
    fields = await _read_form() if request.method == "POST" else []
    if "X-Twilio-Webhooks-Signature-Settings" in request.headers:
        raise _Refused(403, "signature_settings")  # signed with a shared key, and none can be configured
    signature = request.headers.get("X-Twilio-Signature", "")
    url = f"{gateway.settings.public_url}{path}{'?' + query if query else ''}"
    if not is_valid(gateway.auth_tokens, signature, url, fields):
        raise _Refused(403, "signature" if signature else "no_signature")
    params = dict(_parse(query) + fields)
    if not 0 < len(params.get("CallSid", "")) <= CALL_SID_CHARS:
        raise _Refused(400, "no_call_sid")
    return CarrierRequest(params, request.headers.get("I-Twilio-Idempotency-Token", ""))


async def _read_form() -> list[tuple[str, str]]:
    try:
        body = await request.get_data(cache=False, as_text=False, parse_form_data=False)
    except RequestEntityTooLarge:
        raise _Refused(413, "too_large") from None
    except RequestTimeout:
        raise _Refused(408, "slow_body") from None
    return _parse(body.decode("utf-8", "replace")) if request.mimetype == FORM else []


def _parse(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS_MOST)
    except ValueError:
        raise _Refused(400, "too_many_fields") from None
