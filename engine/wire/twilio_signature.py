"""Is this request really the carrier's? ``X-Twilio-Signature`` made and checked.

The signature is base64 of HMAC-SHA1, keyed with an account's auth token, over the URL that the carrier requested and,
for a form, every name and value in order.  The URL must be built from the configured public origin, never from a
``Host`` header alone: whoever calls chooses that header.

A websocket handshake is signed over its ``wss`` URL alone.  Such a signature never changes, so it can be replayed: it
says who made the URL, and only a stream token (``stream_token.py``) says that this is a new stream.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from urllib.parse import parse_qs

_URL = re.compile(
    r"(?P<scheme>[^:/?#]+)://(?:[^@/?#]*@)?(?P<host>\[[^\]/?#]*\]|[^:/?#]*)(?P<port>:\d*)?(?P<rest>[^#]*)"
)


def sign(auth_token: str, url: str, params: Iterable[tuple[str, str]] = ()) -> str:
    """The signature over a URL as requested and the decoded form fields (none for GET, JSON and websockets).

    A repeated name counts once per distinct value.
    """
    signed = url + "".join(name + value for name, value in sorted(set(params)))
    mac = hmac.new(_bytes(auth_token), _bytes(signed), hashlib.sha1)
    return base64.b64encode(mac.digest()).decode("ascii")


def is_valid(
    auth_tokens: Sequence[str], signature: str | None, url: str, params: Iterable[tuple[str, str]] = ()
) -> bool:
    """Whether one of the tokens signed this request.

    Several tokens serve a rotation.  No token, an empty one or no signature is never valid.  The carrier is not of one
    mind about ports, so the URL counts with its port, without, and with its scheme's default.
    """
    fields = list(params)
    return _is_signed(auth_tokens, signature, [(form, fields) for form in _port_variants(url)])


def is_valid_json(auth_tokens: Sequence[str], signature: str | None, url: str, body: bytes) -> bool:
    """Whether one of the tokens signed this request with a JSON body: its hash is the URL's ``bodySHA256``."""
    query = url.partition("#")[0].partition("?")[2]
    claimed = parse_qs(query).get("bodySHA256", [])
    if len(claimed) != 1:
        return False
    same_body = hmac.compare_digest(_bytes(claimed[0].lower()), hashlib.sha256(body).hexdigest().encode("ascii"))
    return is_valid(auth_tokens, signature, url) and same_body


def is_valid_handshake(auth_tokens: Sequence[str], signature: str | None, stream_url: str) -> bool:
    """Whether one of the tokens signed a websocket handshake for the stream URL that we put into TwiML.

    The URL counts with and without a slash at its end; any other form is not ours.
    """
    url = stream_url.rstrip("/")
    return _is_signed(auth_tokens, signature, [(url, []), (url + "/", [])])


def _is_signed(
    auth_tokens: Sequence[str], signature: str | None, forms: list[tuple[str, list[tuple[str, str]]]]
) -> bool:
    if not signature:
        return False
    given = _bytes(signature)
    valid = False
    for token in filter(None, auth_tokens):
        for url, fields in forms:
            # Every form is tried, also after a hit: how long this takes says nothing.
            valid |= hmac.compare_digest(sign(token, url, fields).encode("ascii"), given)
    return valid


def _port_variants(url: str) -> list[str]:
    """The forms under which the carrier may have signed this URL; user and fragment are never part of them."""
    parts = _URL.match(url)
    if parts is None:
        return [url]
    origin = f"{parts['scheme']}://{parts['host']}"
    default = ":443" if parts["scheme"].lower() in {"https", "wss"} else ":80"
    port = parts["port"] or ""
    return [origin + form + parts["rest"] for form in dict.fromkeys([port, "", default if port in {"", ":"} else port])]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
