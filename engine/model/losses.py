"""Verdicts about a session as the exceptions that end it, and which of several tells most."""

from engine.errors import ModelClosed, ModelGarbled, ModelLost, ModelRunaway, ModelStalled
from engine.model.liveness import Lost, Verdict
from engine.model.stream import ABNORMAL


def stop_if(too_much: str | None) -> None:
    """The model is lost if ``Bounds`` says that something is too much.

    Raises:
        ModelRunaway: it does.
    """
    if too_much is not None:
        raise ModelRunaway(too_much)


def stop_if_lost(verdict: Verdict) -> None:
    """The model is lost if ``Liveness`` says so.

    Raises:
        ModelGarbled, ModelStalled: it does.
    """
    match verdict:
        case Lost("garbled", why):
            raise ModelGarbled(why)
        case Lost(_, why):
            raise ModelStalled(why)


def most_telling(group: BaseExceptionGroup[BaseException]) -> ModelLost:
    """Of losses that came together: a refusal, else a close code, else anything but "the connection ended"."""
    return max(
        _leaves(group),
        key=lambda lost: (not lost.resumable, lost.code not in {None, ABNORMAL}, not isinstance(lost, ModelClosed)),
    )


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[ModelLost]:
    leaves: list[ModelLost] = []
    for member in group.exceptions:
        if isinstance(member, BaseExceptionGroup):
            leaves += _leaves(member)
        elif isinstance(member, ModelLost):
            leaves.append(member)
    return leaves
