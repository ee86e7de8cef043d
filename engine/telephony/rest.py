"""The carrier's REST interface, for what must happen to a live call: end it, or send it elsewhere.

Both are idempotent at the carrier, so a request whose answer was lost may be sent again.
"""

from typing import Protocol

import httpx
import trio

from engine.errors import CarrierError

ATTEMPTS = 3
DEADLINE_S = 5.0
FIRST_PAUSE_S = 0.25
GONE_CODES = {20404, 21220}  # unknown or ended call


class Carrier(Protocol):
    """What a call may ask of the carrier."""

    async def end_call(self, call_sid: str) -> None:
        """End the call; nothing of its TwiML runs any more. Quiet where it has already ended."""

    async def redirect_call(self, call_sid: str, twiml: str) -> None:
        """Replace what the call runs, now; the media stream gets its ``stop``.

        Raises:
            CarrierError: it was not done (``gone``: the call had already ended).
        """


class TwilioRest:
    """The carrier over HTTP. ``http`` must be an async client whose lifetime the composition root owns."""

    def __init__(self, http: httpx.AsyncClient, *, api_url: str, account_sid: str, auth_token: str) -> None:
        self._http = http
        self._calls = f"{api_url.rstrip('/')}/2010-04-01/Accounts/{account_sid}/Calls"
        self._auth = httpx.BasicAuth(account_sid, auth_token)

    async def end_call(self, call_sid: str) -> None:
        """See ``Carrier``."""
        try:
            await self._update(call_sid, {"Status": "completed"})
        except CarrierError as error:
            if not error.gone:
                raise

    async def redirect_call(self, call_sid: str, twiml: str) -> None:
        """See ``Carrier``."""
        await self._update(call_sid, {"Twiml": twiml})

    async def _update(self, call_sid: str, form: dict[str, str]) -> None:
        pause = FIRST_PAUSE_S
        said = "no answer"
        for attempt in range(ATTEMPTS):
            if attempt:
                await trio.sleep(pause)
                pause *= 2
            try:
                with trio.fail_after(DEADLINE_S):
                    answer = await self._http.post(f"{self._calls}/{call_sid}.json", data=form, auth=self._auth)
            except (httpx.RequestError, trio.TooSlowError) as error:
                said = f"no answer ({type(error).__name__})"
                continue
            if answer.is_success:
                return
            code = _error_code(answer)
            said = f"status {answer.status_code}, code {code}"
            if answer.status_code == 404 or code in GONE_CODES:
                raise CarrierError(f"the call has already ended: {said}", gone=True)
            if answer.status_code != 429 and answer.status_code < 500:
                break  # the carrier understood and will not: asking again changes nothing
        raise CarrierError(f"the carrier did not update the call: {said}")


def _error_code(answer: httpx.Response) -> int | None:
    try:
        code = answer.json().get("code")
    except (ValueError, AttributeError):
        return None
    return code if isinstance(code, int) else None
