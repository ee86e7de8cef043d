"""A call's record as a JSON-ready snapshot, and back: what another worker needs to go on with the call. PURE.

Messages that the caller left are not in it: they are large, and kept beside it. Instants are ages, since no clock is
common to two processes but the store's, which says how long ago a snapshot was written.

A snapshot may have been written by another version: what is not known here is left out, what is missing is as in a
fresh record. What the last worker was saying when it went is taken for heard as far as it can have been: its playout
died with it, so the time since the response began, and the usual pace of speech, must say.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, asdict, fields
from typing import Any, TypeAlias

from engine.call.outcome import Outcome, OutcomeClass, Reason
from engine.call.record import CallRecord, Moment, Utterance

Snapshot: TypeAlias = dict[str, Any]
Mark: TypeAlias = tuple[object, ...]

TIMELINE_TAIL = 120  # moments; the conversation itself is kept whole
RECENT = 6  # utterances that may still change
CHARACTERS_PER_S = 15.0  # of speech, roughly, in the languages that we speak
UNHEARD_S = 1.0  # at least so much passes between the loss of a worker and the carrier's question what to do
PLAIN = ("caller", "handle", "provider", "notes_text", "sessions", "turns", "handovers")
COUNTED = ("sessions", "turns", "handovers")

_UTTERANCE = tuple(field.name for field in fields(Utterance))
_NEEDED = frozenset(f.name for f in fields(Utterance) if f.default is MISSING and f.default_factory is MISSING)


def snapshot(record: CallRecord, now: float) -> Snapshot:
    """JSON-ready; ``now`` is on the clock of the record's own ``started_at``."""
    written: Snapshot = {name: getattr(record, name) for name in PLAIN}
    return written | {
        "age_s": round(now - record.started_at, 3),
        "generation": record.generation,
        "tokens": dict(record.tokens),
        "use": record.use.written(),
        "outcome": asdict(record.outcome) if record.outcome else None,
        "utterances": [{name: getattr(one, name) for name in _UTTERANCE} for one in record.utterances],
        "timeline": [[one.at_ms, one.kind, one.text, one.facts] for one in record.timeline[-TIMELINE_TAIL:]],
    }


def mark(record: CallRecord) -> Mark:
    """Differs whenever a snapshot taken now would differ in anything but its age. Cheap: asked twice a second."""
    last = record.timeline[-1] if record.timeline else None
    recent = [(len(one.text), one.heard_share, one.complete, one.settled) for one in record.utterances[-RECENT:]]
    return (
        record.handle,
        record.outcome,
        record.notes_text,
        record.generation,
        record.handovers,
        record.sessions,
        len(record.utterances),
        recent,
        len(record.messages),
        len(record.timeline),
        last and (last.at_ms, last.kind),
    )


def restore(
    written: Mapping[str, Any],
    messages: Sequence[bytes],
    *,
    call_sid: str,
    tenant_id: str,
    now: float,
    saved_ago_s: float,
    observe: Callable[[str, Moment], None] | None = None,
) -> CallRecord:
    """The record as it stood, on the clock of ``now``.

    Raises:
        ValueError: that is no snapshot of any version.
    """
    try:
        age_s = float(written["age_s"]) + saved_ago_s
        record = CallRecord(
            call_sid=call_sid,
            tenant_id=tenant_id,
            caller=str(written.get("caller", "")),
            started_at=now - age_s,
            observe=observe,
        )
        for name in PLAIN:
            setattr(record, name, written.get(name, getattr(record, name)))
        record.tokens.update(written.get("tokens", {}))
        record.use.add(written.get("use", {}))
        record.duration_s = float(written["age_s"])  # until it is served again
        record.outcome = _outcome(written.get("outcome"))
        record.take_up([_utterance(one) for one in written.get("utterances", ())], int(written.get("generation", 0)))
        record.timeline = [Moment(*one) for one in written.get("timeline", ())]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a call's snapshot: {error!r}") from None
    record.messages = list(messages)
    _judge_heard(record, 1000 * (age_s - UNHEARD_S))
    return record


def put_before(record: CallRecord, earlier: CallRecord) -> None:
    """What was known elsewhere came late: the call goes on with ``record``, and ``earlier`` is its first part."""
    shift_ms = 1000 * (record.started_at - earlier.started_at)
    later = [Moment(round(one.at_ms + shift_ms, 1), one.kind, one.text, one.facts) for one in record.timeline]
    record.timeline[:] = [*earlier.timeline, *later]
    record.started_at = earlier.started_at
    record.take_up(earlier.utterances, earlier.generation)
    record.messages[:0] = earlier.messages
    record.tokens.update(earlier.tokens)
    record.use.add(earlier.use.written())
    record.caller = record.caller or earlier.caller
    for name in COUNTED:
        setattr(record, name, getattr(record, name) + getattr(earlier, name))


def _utterance(one: Mapping[str, Any]) -> Utterance:
    if missing := _NEEDED - one.keys():
        raise TypeError(f"an utterance without {', '.join(sorted(missing))}")
    return Utterance(**{name: one[name] for name in _UTTERANCE if name in one})


def _outcome(written: Mapping[str, Any] | None) -> Outcome | None:
    if written is None:
        return None
    try:
        return Outcome(OutcomeClass(written["outcome"]), Reason(written["reason"]), str(written.get("detail", "")))
    except ValueError:
        return None  # a reason of another version: then how it ended is not known here


def _judge_heard(record: CallRecord, until_ms: float) -> None:
    begun = {one.facts.get("generation"): one.at_ms for one in record.timeline if one.kind == "response"}
    settled = {one.facts.get("generation") for one in record.timeline if one.kind in {"agent", "cut"}}
    for one in record.utterances[-RECENT:]:
        at_ms = begun.get(one.generation)
        if one.role != "agent" or at_ms is None or not one.text:
            continue
        was_known, one.settled = one.settled, True  # no carrier will tell any more: from here on it stands as judged
        if was_known or one.generation in settled or one.heard_share < 1.0:
            continue
        lasts_ms = 1000 * len(one.text) / CHARACTERS_PER_S
        one.heard_share = min(1.0, max(0.0, until_ms - at_ms) / lasts_ms)
