"""Which of a call's models is tried next, and which are passed over. PURE: every instant is an argument.

A call goes down its tenant's order, and round again. Passed over, as long as anybody else is left, is

* a model that fails for everyone (``circuits``), until it is tried again there;
* a model that failed this call ``STRIKES`` times in a row, for the rest of the call. A session that served for
  ``PROVEN_S`` shows that the model is well: its loss is a first one again.
"""

from collections import Counter
from collections.abc import Sequence

from engine.call.circuits import Circuits
from engine.model.provider import ModelProvider

STRIKES = 2
PROVEN_S = 60.0
LOSSES_TOLERATED = 4  # sessions lost in one call before the script keeps the floor to its end; more, with more models


class Lineup:
    """Of one call.

    Args:
        models: in the tenant's order.
    """

    def __init__(self, models: Sequence[ModelProvider], circuits: Circuits) -> None:
        self.losses = 0
        self._models = tuple(models)
        self._circuits = circuits
        self._strikes: Counter[str] = Counter()
        self._dismissed = False

    @property
    def is_spent(self) -> bool:
        """Nobody is to be sought any more: there is none, or the caller was let down often enough by all of them."""
        # Every model has its chances before that, so that a chain of them does not end early.
        tolerated = max(LOSSES_TOLERATED, STRIKES * len(self._models))
        return self._dismissed or not self._models or self.losses >= tolerated

    def dismiss(self) -> None:
        """The caller has chosen otherwise."""
        self._dismissed = True

    def lost(self, name: str, *, served_s: float) -> None:
        """A session of this model that had the floor, or was to have it, was lost ``served_s`` after it was opened."""
        self.losses += 1
        self._strikes[name] = 1 if served_s >= PROVEN_S else self._strikes[name] + 1

    def refused(self, name: str) -> None:
        """This model would not open a session."""
        self._strikes[name] += 1

    def round(self, now: float, first: str = "", *, last: str = "") -> tuple[ModelProvider, ...]:
        """Whom to try, one after the other; empty only where there is no model at all.

        Args:
            first: whose turn it is: those after it follow, those before it come last.
            last: who has just had it: goes before ``first``; those after it follow, and it is itself the last.
        """
        in_order = self._from(last or first)
        if last:
            in_order = in_order[1:] + in_order[:1]
        fit = tuple(model for model in in_order if self._is_fit(model.name, now))
        return fit or in_order

    def _from(self, name: str) -> tuple[ModelProvider, ...]:
        at = next((index for index, model in enumerate(self._models) if model.name == name), 0)
        return self._models[at:] + self._models[:at]

    def _is_fit(self, name: str, now: float) -> bool:
        return self._strikes[name] < STRIKES and self._circuits.lets_through(name, now)
