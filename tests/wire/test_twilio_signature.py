import hashlib
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator  # the carrier's own, as a witness

from engine.wire.twilio_signature import is_valid, is_valid_handshake, is_valid_json, sign

TOKEN = "12345"
FORM_URL = "https://example.com/myapp.php?foo=1&bar=2"
FORM = {
    "CallSid": "CA1234567890ABCDE",
    "Caller": "+14158675310",
    "Digits": "1234",
    "From": "+14158675310",
    "To": "+18005551212",
}
FORM_SIGNATURE = "L/OH5YylLD5NRKLltdqwSvS0BnU="
STREAM_URL = "wss://voice.example.com/media/t1"
JSON_URL = "https://voice.example.com/json?bodySHA256=5ccde7145dfb8f56479710896586cb9d5911809d83afbe34627818790db0aec9"
JSON_BODY = b'{"CallSid":"CA1234567890ABCDE","Caller":"+12349013030"}'
JSON_SIGNATURE = "57NISIfRkF6CpVQyAPhNKo3YGUY="


@pytest.mark.parametrize(
    ("url", "params", "signature"),
    [
        (FORM_URL, FORM.items(), FORM_SIGNATURE),
        (
            "https://voice.example.com/voice",
            [
                ("aTag", "x y"),
                ("CallSid", "CA00000000000000000000000000000001"),
                ("CallerName", ""),
                ("To", "+15005550001"),
                ("From", "+15005550006"),
            ],
            "CoOsG9KtJVd/p6YCyBE9/D33vY4=",
        ),
        ("https://voice.example.com/voice", [("A", "2"), ("A", "1"), ("A", "2")], "mIQ+tN+Hi+sylJLP4mAbskFlBwQ="),
        ("https://voice.example.com/cb?a=1", [], "EbUx7xpPfj2NH8FNchbwMQpEboU="),
        (JSON_URL, [], JSON_SIGNATURE),
        (STREAM_URL, [], "5HL+ZJt9XqJIhj/ZEOK2m0/ARDU="),
        (STREAM_URL + "/", [], "zbbowkq+UP7rHtaqxphXzXLzAZ8="),
        ("https://voice.example.com/media/t1", [], "8svGNC43o57RPOhJzaiHeGUTfYg="),
    ],
)
def test_the_published_vectors_come_out(url: str, params: Iterable[tuple[str, str]], signature: str) -> None:
    fields = list(params)
    assert sign(TOKEN, url, fields) == signature
    assert is_valid([TOKEN], signature, url, fields)


def test_a_changed_value_name_or_url_is_refused() -> None:
    fields = list(FORM.items())
    assert not is_valid([TOKEN], FORM_SIGNATURE, FORM_URL, [*fields, ("Extra", "")])
    assert not is_valid([TOKEN], FORM_SIGNATURE, FORM_URL, fields[1:])
    assert not is_valid([TOKEN], FORM_SIGNATURE, FORM_URL + "1", fields)
    assert not is_valid([TOKEN], FORM_SIGNATURE.lower(), FORM_URL, fields)
    assert not is_valid(["12346"], FORM_SIGNATURE, FORM_URL, fields)


@pytest.mark.parametrize("tokens", [[], [""], ["", ""]])
@pytest.mark.parametrize("signature", [None, "", sign("", FORM_URL, FORM.items())])
def test_without_a_token_or_a_signature_nothing_is_valid(tokens: list[str], signature: str | None) -> None:
    assert not is_valid(tokens, signature, FORM_URL, FORM.items())
    assert not is_valid([TOKEN], signature, FORM_URL, FORM.items())
    assert not is_valid_handshake(tokens, sign("", STREAM_URL), STREAM_URL)
    assert not is_valid_json(tokens, sign("", JSON_URL), JSON_URL, JSON_BODY)


def test_during_a_rotation_either_token_is_good() -> None:
    assert is_valid(["new", TOKEN], FORM_SIGNATURE, FORM_URL, iter(FORM.items()))
    assert is_valid([TOKEN, "new"], FORM_SIGNATURE, FORM_URL, iter(FORM.items()))


@pytest.mark.parametrize(
    ("signed", "configured"),
    [
        ("https://a.example:443/x", "https://a.example/x"),
        ("https://a.example/x", "https://a.example:443/x"),
        ("https://a.example/x", "https://a.example:8443/x"),
        ("http://a.example:80/x", "http://a.example/x"),
        ("http://[::1]:8080/x", "http://[::1]:8080/x"),
        ("https://a.example/x?y=1", "https://user:pass@a.example/x?y=1#ct=2000"),
    ],
)
def test_a_url_counts_with_and_without_its_port_and_never_with_user_or_fragment(signed: str, configured: str) -> None:
    assert is_valid([TOKEN], sign(TOKEN, signed), configured)


def test_another_port_is_another_url() -> None:
    assert not is_valid([TOKEN], sign(TOKEN, "https://a.example:8443/x"), "https://a.example/x")
    assert not is_valid([TOKEN], sign(TOKEN, "https://a.example:80/x"), "https://a.example/x")


def test_a_json_body_needs_its_signature_and_its_hash() -> None:
    assert is_valid_json([TOKEN], JSON_SIGNATURE, JSON_URL, JSON_BODY)
    assert not is_valid_json([TOKEN], JSON_SIGNATURE, JSON_URL, JSON_BODY + b" ")
    assert not is_valid_json([TOKEN], FORM_SIGNATURE, JSON_URL, JSON_BODY)
    bare = JSON_URL.partition("?")[0]
    assert not is_valid_json([TOKEN], sign(TOKEN, bare), bare, JSON_BODY)
    twice = f"{JSON_URL}&bodySHA256={hashlib.sha256(b'other').hexdigest()}"
    assert not is_valid_json([TOKEN], sign(TOKEN, twice), twice, JSON_BODY)


def test_a_handshake_counts_with_and_without_a_slash_and_in_no_other_form() -> None:
    for configured in (STREAM_URL, STREAM_URL + "/"):
        assert is_valid_handshake([TOKEN], "5HL+ZJt9XqJIhj/ZEOK2m0/ARDU=", configured)
        assert is_valid_handshake([TOKEN], "zbbowkq+UP7rHtaqxphXzXLzAZ8=", configured)
        assert not is_valid_handshake([TOKEN], "8svGNC43o57RPOhJzaiHeGUTfYg=", configured)
    for other in (
        "wss://voice.example.com:443/media/t1",
        STREAM_URL + "//",
        STREAM_URL + "?a=1",
        "ws" + STREAM_URL[3:],
    ):
        assert not is_valid_handshake([TOKEN], sign(TOKEN, other), STREAM_URL)
    assert not is_valid_handshake([TOKEN], None, STREAM_URL)


# --- against the carrier's own validator -----------------------------------------------------------------------------

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
tokens = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
urls = st.builds(
    "{}://{}{}{}{}".format,
    st.sampled_from(["https", "http"]),
    st.sampled_from(["voice.example.com", "127.0.0.1"]),
    st.sampled_from(["", ":443", ":80", ":8443"]),
    st.sampled_from(["/", "/twilio/voice", "/a%20b;c"]),
    st.sampled_from(["", "?a=1", "?a=1&b=%2F"]),
)


class MultiDict(dict[str, list[str]]):
    """Fields as web frameworks hand them to the validator."""

    def getall(self, name: str) -> list[str]:
        return self[name]


@given(token=tokens, url=urls, fields=st.lists(st.tuples(words, words), max_size=8))
def test_our_signatures_are_those_of_the_carriers_library(token: str, url: str, fields: list[tuple[str, str]]) -> None:
    grouped = MultiDict()
    for name, value in fields:
        grouped.setdefault(name, []).append(value)
    theirs = RequestValidator(token).compute_signature(url, grouped)
    assert sign(token, url, fields) == theirs
    assert is_valid([token], theirs, url, fields)


@given(signed=urls, requested=urls)
def test_we_take_a_url_for_another_where_the_carriers_library_does(signed: str, requested: str) -> None:
    signature = sign(TOKEN, signed, FORM.items())
    theirs = RequestValidator(TOKEN).validate(requested, FORM, signature)
    assert is_valid([TOKEN], signature, requested, FORM.items()) == theirs


@given(body=words)
def test_we_take_a_json_body_where_the_carriers_library_does(body: str) -> None:
    url = f"https://voice.example.com/json?bodySHA256={hashlib.sha256(body.encode()).hexdigest()}"
    for signature, claimed in ((sign(TOKEN, url), body), (sign(TOKEN, url), body + "x"), ("bad", body)):
        assert is_valid_json([TOKEN], signature, url, claimed.encode()) == RequestValidator(TOKEN).validate(
            url, claimed, signature
        )


@given(
    signature=st.text(max_size=40),
    url=st.text(max_size=60),
    fields=st.lists(st.tuples(st.text(), st.text()), max_size=3),
)
def test_noise_is_refused_without_an_exception(signature: str, url: str, fields: list[tuple[str, str]]) -> None:
    assert not is_valid([TOKEN], signature, url, fields)
    assert not is_valid_json([TOKEN], signature, url, b"")
    assert not is_valid_handshake([TOKEN], signature, url)
