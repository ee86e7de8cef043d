"""Does something grow while calls come and go, and is something left when the last has gone? PURE.

A figure is explained by how many calls are up and by the time; its slope is what is left to the time. It is fitted to
the means of twenty stretches of equal length, not to single samples: these hang together (a call that is up now is up a
second later), so that a line through them would look far surer than it is. *Flat* is what grows over the whole run by
no more than three times its own standard error, or by no more than a hundredth of itself.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

STRETCHES = 20
FEWEST = 5  # stretches that a slope can be fitted to
SURE = 3.0  # standard errors: four figures are judged, and one in forty is farther off than two by mere chance
SMALL = 0.01  # of the mean, over the whole run
FITTED = ("rss_mib", "tasks", "threads", "sockets")
COUNTED = ("tasks", "threads", "sockets", "connections")  # what must be back where it was, to the last one
POOL = 10  # connections that a gateway's pool may keep open (``DatabaseConfig``); it starts with one


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at a gateway, all its processes together.

    Attributes:
        at_s: since the watch began.
        calls: on the line; None where a worker did not say.
        tasks: of trio's.
        threads, sockets: as the system counts them; of sockets, neither those of ``connections`` nor those that are
            kept open for the next embedding, which come and go as a pool likes.
        connections: that its database has with it.
        cpu_s: used so far.
    """

    at_s: float
    calls: int | None
    cpu_s: float
    rss_mib: float
    tasks: int | None
    threads: int
    sockets: int
    connections: int


@dataclass(frozen=True, slots=True)
class Drift:
    """A line through one figure, over so many ``hours``. ``error`` is the standard error of ``per_hour``."""

    mean: float
    per_hour: float
    error: float
    hours: float

    @classmethod
    def of(cls, at_s: Sequence[float], calls: Sequence[float], values: Sequence[float]) -> "Drift | None":
        """Fit it; None where there are too few samples."""
        count = min(STRETCHES, len(values) // 2)
        if count < FEWEST:
            return None
        edges = [round(index * len(values) / count) for index in range(count + 1)]
        means = np.array(
            [[float(np.mean(of[low:high])) for low, high in itertools.pairwise(edges)] for of in (at_s, calls, values)]
        )
        hours, up, y = means[0] / 3600, means[1], means[2]
        causes = [np.ones(count), hours - hours.mean()]
        if up.std() > 0:
            causes.append(up - up.mean())
        x = np.stack(causes, axis=1)
        # The inverse even where calls and time cannot be told apart; then each is given half of what they explain.
        inverse = np.linalg.pinv(x.T @ x)
        fit = inverse @ x.T @ y
        off = float(np.sum((y - x @ fit) ** 2)) / (count - len(causes))
        error = math.sqrt(off * float(inverse[1, 1]))
        return cls(float(np.mean(values)), float(fit[1]), error, (at_s[-1] - at_s[0]) / 3600)

    @property
    def growth(self) -> float:
        """Over the whole run."""
        return self.per_hour * self.hours

    @property
    def is_flat(self) -> bool:
        """It does not grow, as far as can be known."""
        return self.growth <= max(SURE * self.error * self.hours, SMALL * self.mean)


def drifts(samples: Sequence[Sample]) -> dict[str, Drift | None]:
    """Of every figure but the database's connections, which a pool keeps within bounds, over these samples."""
    found: dict[str, Drift | None] = {}
    for name in FITTED:
        known = [one for one in samples if one.calls is not None and getattr(one, name) is not None]
        values = [float(getattr(one, name)) for one in known]
        found[name] = Drift.of([one.at_s for one in known], [float(one.calls or 0) for one in known], values)
    return found


def left(before: Sequence[Sample], after: Sequence[Sample]) -> Mapping[str, int | None]:
    """What is there more of after the last call than before the first, by the least of each quiet time.

    The least, since what a watcher does (a page asked for, a connection of the pool checked) comes and goes. Of the
    database's connections, those that the pool may not have.
    """
    found: dict[str, int | None] = {}
    for name in COUNTED:
        was, now = ([getattr(one, name) for one in some if getattr(one, name) is not None] for some in (before, after))
        found[name] = max(0, min(now) - min(was)) if was and now else None
    if (more := found["connections"]) is not None:
        found["connections"] = max(0, more - (POOL - 1))
    return found
