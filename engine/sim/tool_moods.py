"""What a simulated tool endpoint may do wrong, as values; one request uses one up."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Nonsense: TypeAlias = Literal["text", "list", "wrong_shape", "not_utf8", "deep", "packed", "no_http", "cut_short"]
EVERY_NONSENSE: tuple[Nonsense, ...] = (
    *("text", "list", "wrong_shape", "not_utf8", "deep", "packed", "no_http", "cut_short"),
)


@dataclass(frozen=True, slots=True)
class Fine:
    """Behave; a place-holder among others."""


@dataclass(frozen=True, slots=True)
class Slow:
    """Done at once, answered after so long (``math.inf``: never)."""

    answer_s: float


@dataclass(frozen=True, slots=True)
class Fails:
    """A status instead of an answer, with a stack trace for a body. Nothing is done, unless ``done``."""

    status: int = 500
    done: bool = False


@dataclass(frozen=True, slots=True)
class TooMany:
    """429, with ``Retry-After`` where there is one; nothing is done."""

    retry_after: str | None = "1"


@dataclass(frozen=True, slots=True)
class Garbage:
    """Done, and answered with nonsense."""

    how: Nonsense = "text"


@dataclass(frozen=True, slots=True)
class Huge:
    """Done, and answered with a body that does not end; ``declared``: its length is said beforehand."""

    size: int = 16 * 1024 * 1024
    declared: bool = False


@dataclass(frozen=True, slots=True)
class Redirects:
    """Sent elsewhere; nothing is done."""

    to: str
    status: int = 307


@dataclass(frozen=True, slots=True)
class LosesAnswer:
    """Done, and the connection is reset instead of an answer."""


@dataclass(frozen=True, slots=True)
class Drops:
    """The connection is reset before anything is done."""


@dataclass(frozen=True, slots=True)
class Kills:
    """``kill`` is called when nothing is done yet, or when all is done and not yet answered; there is no answer.

    For killing the process that asked, at the two moments that it can least afford.
    """

    kill: Callable[[], None]
    when: Literal["before", "after"] = "after"


ToolMood: TypeAlias = Fine | Slow | Fails | TooMany | Garbage | Huge | Redirects | LosesAnswer | Drops | Kills
