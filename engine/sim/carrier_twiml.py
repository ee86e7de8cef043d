"""PURE: TwiML as the carrier reads it: case-sensitive, with warnings for what it does not know.

A document that cannot be read at all is ``Unreadable`` with the carrier's code; an unknown verb or attribute is a
warning (12200) and is skipped, as the carrier does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree as ET

LARGEST_BYTES = 65536
TWIML_TYPES = {"text/xml", "application/xml", "text/html"}
PARAMETER_LIMIT = 500  # characters of name and value together

_ATTRIBUTES: Mapping[str, frozenset[str]] = {
    name: frozenset(attributes.split())
    for name, attributes in {
        "Connect": "action method",
        "Stream": "url name track statusCallback statusCallbackMethod",
        "Parameter": "name value",
        "Say": "voice language loop",
        "Play": "loop digits",
        "Pause": "length",
        "Redirect": "method",
        "Hangup": "",
        "Reject": "reason",
        "Gather": "input action method timeout numDigits finishOnKey actionOnEmptyResult speechTimeout speechModel "
        "hints language partialResultCallback bargeIn",
        "Record": "action method timeout finishOnKey maxLength playBeep trim recordingStatusCallback "
        "recordingStatusCallbackMethod recordingStatusCallbackEvent transcribe",
        "Dial": "action method timeout timeLimit callerId record recordingStatusCallback "
        "recordingStatusCallbackMethod recordingStatusCallbackEvent recordingTrack trim answerOnBridge ringTone "
        "hangupOnStar sequential callReason referUrl",
        "Number": "sendDigits url method statusCallback statusCallbackMethod statusCallbackEvent machineDetection "
        "amdStatusCallback byoc",
    }.items()
}
_INSIDE: Mapping[str, frozenset[str]] = {
    "Response": frozenset(_ATTRIBUTES) - {"Stream", "Parameter", "Number"},
    "Connect": frozenset({"Stream"}),
    "Stream": frozenset({"Parameter"}),
    "Gather": frozenset({"Say", "Play", "Pause"}),
    "Dial": frozenset({"Number"}),
}


@dataclass(frozen=True, slots=True)
class Verb:
    """One element: its name, attributes, text (stripped) and known children."""

    name: str
    attributes: Mapping[str, str]
    text: str
    children: tuple["Verb", ...]


@dataclass(frozen=True, slots=True)
class Twiml:
    """A document that can be run. ``warnings`` are (code, detail)."""

    verbs: tuple[Verb, ...]
    warnings: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Nothing the carrier could run; it asks the fallback URL with this code."""

    code: int
    detail: str


def read_twiml(body: bytes, content_type: str) -> Twiml | Unreadable:
    """Read what a webhook answered; never raises."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in TWIML_TYPES:
        return Unreadable(12300, f"content type {kind!r} is not TwiML's")
    if len(body) > LARGEST_BYTES:
        return Unreadable(11750, f"{len(body)} bytes of TwiML; 64 kB is the limit")
    try:
        root = ET.fromstring(body)  # noqa: S314  the peer is the server under test
    except ET.ParseError as error:
        return Unreadable(12100, f"not XML: {error}")
    if root.tag != "Response":
        return Unreadable(12100, f"the document is <{root.tag}>, not <Response>")
    warnings: list[tuple[int, str]] = []
    return Twiml(_children(root, warnings), tuple(warnings))


def stream_problem(stream: Verb) -> tuple[int, str] | None:
    """Why the carrier would not open this ``<Stream>``, as (code, detail)."""
    url = stream.attributes.get("url", "")
    if not url:
        return 31923, "<Stream> without url"
    if stream.attributes.get("track", "inbound_track") != "inbound_track":
        return 31941, "in <Connect> only inbound_track"
    for child in stream.children:
        if len(child.attributes.get("name", "")) + len(child.attributes.get("value", "")) >= PARAMETER_LIMIT:
            return 12200, "a <Parameter> of 500 characters or more"
    return None


def _children(parent: ET.Element, warnings: list[tuple[int, str]]) -> tuple[Verb, ...]:
    known = _INSIDE.get(parent.tag, frozenset())
    verbs: list[Verb] = []
    for element in parent:
        if element.tag not in known:
            warnings.append((12200, f"<{element.tag}> is unknown in <{parent.tag}>"))
            continue
        unknown = sorted(set(element.attrib) - _ATTRIBUTES[element.tag])
        warnings.extend((12200, f"<{element.tag}> has no attribute {name!r}") for name in unknown)
        attributes = {name: value for name, value in element.attrib.items() if name not in unknown}
        verbs.append(Verb(element.tag, attributes, (element.text or "").strip(), _children(element, warnings)))
    return tuple(verbs)
