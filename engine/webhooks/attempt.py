"""One try to tell an endpoint of an event: a signed POST to a public address, within its time.

Signed as Standard Webhooks has it: ``webhook-id`` is the event's, the same in every try; while a secret is being
replaced both sign. Whatever the endpoint does is an outcome here, never an exception.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import httpx
import orjson
import trio
from standardwebhooks import Webhook

from engine.errors import ToolFailed
from engine.store.webhooks import Claimed

ATTEMPT_S: Final = 15.0
GONE: Final = 410  # "never send here again"
LONGEST_ERROR: Final = 300  # characters


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one try. ``status`` None: no answer, and ``error`` says why."""

    status: int | None
    error: str = ""
    retry_after_s: float = 0.0

    @property
    def taken(self) -> bool:
        """Whether the endpoint has it."""
        return self.status is not None and 200 <= self.status < 300


def body_of(event: Claimed, tenant_id: str) -> bytes:
    """What is sent: JSON with type, timestamp of the event, tenant, and data."""
    told = {"type": event.type, "timestamp": event.at, "tenant_id": tenant_id, "data": event.data}
    return orjson.dumps(told)


def headers_of(secrets: Sequence[str], event_id: str, body: bytes, now: datetime) -> dict[str, str]:
    """The three headers of the standard, and what the body is. ``now``: in UTC."""
    signatures = (Webhook(secret).sign(event_id, now, body.decode()) for secret in secrets)
    return {
        "content-type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


async def attempt(client: httpx.AsyncClient, url: str, headers: dict[str, str], body: bytes) -> Answer:
    """Send it. A redirect is an answer like another, and not followed: where it leads was not checked."""
    try:
        with trio.fail_after(ATTEMPT_S):
            response = await client.send(
                client.build_request("POST", url, headers=headers, content=body), stream=True, follow_redirects=False
            )
            await response.aclose()  # what an endpoint says beside its status is of no interest
    except trio.TooSlowError:
        return Answer(None, f"no answer within {ATTEMPT_S:g} s")
    except ToolFailed as refused:
        return Answer(None, str(refused)[:LONGEST_ERROR])
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Answer(None, f"{type(error).__name__}: {error}"[:LONGEST_ERROR])
    why = "" if 200 <= response.status_code < 300 else f"it answered {response.status_code}"
    return Answer(response.status_code, why, _retry_after_s(response))


def _retry_after_s(response: httpx.Response) -> float:
    said: str = response.headers.get("retry-after", "").strip()
    return float(said) if said.isascii() and said.isdigit() and len(said) < 7 else 0.0
