"""The carrier's REST interface: asked again where that can help, and only there."""

from collections.abc import Callable
from urllib.parse import parse_qs

import httpx
import pytest
import trio
import trio.testing

from engine.errors import CarrierError
from engine.telephony.rest import ATTEMPTS, DEADLINE_S, TwilioRest

Clock = trio.testing.MockClock
Answer = httpx.Response | Exception | float


class Api:
    """A carrier that gives these answers one after the other; a number is a delay without any."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.asked: list[httpx.Request] = []
        self.asked_at: list[float] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        self.asked_at.append(trio.current_time())
        answer = self._answers.pop(0)
        if isinstance(answer, float):
            await trio.sleep(answer)
            raise AssertionError("waited to the end")
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self))


def said(status: int, code: object = None) -> httpx.Response:
    return httpx.Response(status, json={"code": code, "message": "why", "status": status})


def rest(http: httpx.AsyncClient) -> TwilioRest:
    return TwilioRest(http, api_url="https://carrier.test/", account_sid="AC1", auth_token="secret")


async def ended(*answers: Answer) -> Api:
    api = Api(*answers)
    async with api.client() as http:
        await rest(http).end_call("CA1")
    return api


async def redirected(*answers: Answer) -> Api:
    api = Api(*answers)
    async with api.client() as http:
        await rest(http).redirect_call("CA1", "<Response/>")
    return api


async def test_ending_a_call_is_one_signed_request() -> None:
    api = await ended(said(200))
    (request,) = api.asked
    assert str(request.url) == "https://carrier.test/2010-04-01/Accounts/AC1/Calls/CA1.json"
    assert request.method == "POST"
    assert parse_qs(request.content.decode()) == {"Status": ["completed"]}
    assert httpx.BasicAuth("AC1", "secret")._auth_header == request.headers["authorization"]


async def test_sending_a_call_elsewhere_gives_the_new_document() -> None:
    api = await redirected(said(200))
    assert parse_qs(api.asked[0].content.decode()) == {"Twiml": ["<Response/>"]}


@pytest.mark.parametrize("gone", [lambda: said(404, 20404), lambda: said(400, 21220), lambda: httpx.Response(404)])
async def test_a_call_that_has_ended_needs_no_ending_and_cannot_be_sent_elsewhere(
    gone: Callable[[], httpx.Response],
) -> None:
    assert len((await ended(gone())).asked) == 1
    with pytest.raises(CarrierError) as error:
        await redirected(gone())
    assert error.value.gone


@pytest.mark.parametrize(
    "lost",
    [
        said(429, 20429),
        said(503),
        httpx.Response(500, text="<html>"),
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("cut"),
        httpx.DecodingError("not what its encoding says"),
        60.0,
    ],
    ids=lambda answer: getattr(answer, "status_code", None) or type(answer).__name__,
)
async def test_what_may_pass_is_asked_again_after_a_pause(lost: Answer, autojump_clock: Clock) -> None:
    api = await redirected(lost, said(200))
    assert len(api.asked) == 2
    waited = api.asked_at[1] - api.asked_at[0]
    assert waited == pytest.approx(0.25 + (DEADLINE_S if lost == 60.0 else 0))


async def test_pauses_grow_and_attempts_end(autojump_clock: Clock) -> None:
    api = Api(*[said(503)] * 9)
    async with api.client() as http:
        with pytest.raises(CarrierError, match="503") as error:
            await rest(http).end_call("CA1")
    assert not error.value.gone
    assert len(api.asked) == ATTEMPTS
    first, second, third = api.asked_at
    assert (second - first, third - second) == pytest.approx((0.25, 0.5))


@pytest.mark.parametrize("status", [301, 400, 401, 403])
async def test_what_the_carrier_will_not_do_is_asked_once(status: int, autojump_clock: Clock) -> None:
    api = Api(said(status, 21201))
    async with api.client() as http:
        with pytest.raises(CarrierError, match=f"{status}, code 21201") as error:
            await rest(http).redirect_call("CA1", "<Response/>")
    assert not error.value.gone
    assert len(api.asked) == 1


@pytest.mark.parametrize("body", [b"", b"[]", b"not json", b'{"code":"20404"}', b"\xff"])
async def test_a_refusal_in_no_known_form_is_a_refusal(body: bytes) -> None:
    with pytest.raises(CarrierError, match="code None"):
        await redirected(httpx.Response(400, content=body))
