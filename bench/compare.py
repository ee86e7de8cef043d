"""Has something become worse? ``python -m bench.compare OLD.json NEW.json``: exit status 1, and a table of what has.

Knows the reports of ``bench.micro``, ``bench.sweep`` and ``bench.soak``, and the report.json of ``frontdesk loadtest``.
Figures are compared as ratios, new to old, with a tolerance each; no time is ever held against a number of
milliseconds. Wherever a bench could, it has told its times in calibration loops or as ratios to a base of the same run,
so that the machine is not in them; a load test of its own has only times, whose tolerance admits a slower host (the
same one was seen half as slow again for an hour). Below ``least`` a ratio says nothing: both are taken for that much.

A figure that was measured and is not any more is worse; one that is new is not. Reports of different plans are not
compared: exit status 2.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bench.loadtests import at, number

Report = Mapping[str, Any]
Better = Literal["less", "more"]
POLL_MS = 5.0  # simulated callers look at their lines so often: what is shorter cannot be told apart


class NotComparable(Exception):
    """Two reports of different things, or one that is none."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number in a report, and how much worse it may become.

    Attributes:
        tolerance: new / old may be so much; for ``more``, old / new.
        least: smaller ones are taken for this; 0: none may become more than 0.
    """

    path: str
    tolerance: float
    least: float = 0.0
    better: Better = "less"


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one figure; ``ratio`` is above 1 where it became worse, None where there is none."""

    name: str
    old: float | None
    new: float | None
    ratio: float | None
    tolerance: float

    @property
    def is_worse(self) -> bool:
        """By more than is tolerated, or not measured any more."""
        if self.old is None:
            return False
        return self.new is None or self.ratio is None or self.ratio > self.tolerance

    def __str__(self) -> str:
        verdict = "new" if self.old is None else "gone" if self.new is None else "WORSE" if self.is_worse else ""
        ratio = "-" if self.ratio is None else f"{self.ratio:.2f}"
        shown = ("-" if value is None else f"{value:.4g}" for value in (self.old, self.new))
        return f"{self.name:<58}{next(shown):>10}{next(shown):>10}{ratio:>7}{self.tolerance:>6.2f}  {verdict}"


HOST = 1.6  # a slower host alone makes 1.5 of it
SAME_RUN = 1.25  # of ratios within one run of a sweep
MICRO = 1.2  # two runs agreed within 1.05 beside sixteen busy processes, short ones (``--quick``) within 1.15

LOADTEST = (
    Figure("server.cpu_ms_per_call_second", HOST),
    Figure("server.memory_mib_per_call", 1.3, least=0.05),
    Figure("response_ms.p50", 1.1, least=POLL_MS),
    Figure("response_ms.p99", 1.3, least=POLL_MS),
    Figure("added_ms.p50", HOST, least=POLL_MS),
    Figure("added_ms.p99", 2.0, least=POLL_MS),
    Figure("barge_in_ms.p50", 1.3, least=POLL_MS),
    Figure("setup_ms.p50", HOST, least=POLL_MS),
    Figure("longest_silence_ms.p99", 1.3, least=POLL_MS),
    Figure("underruns_per_minute", 2.0),
    Figure("calls.dropped", 1.0),
    Figure("protocol_faults", 1.0),
    Figure("load.unanswered", 1.0),
    Figure("load.given_up", 1.0),
    Figure("load.served_by_static_script", 1.0),
    Figure("load.lost_frames", 2.0),
    Figure("load.held", 1.0, better="more"),
)
# Of a search for it: everything else was measured at other loads.
CAPACITY = (Figure("capacity.calls", 1.15, better="more"), *LOADTEST[:2])
SOAK = (
    Figure("load.calls.dropped", 1.0),
    Figure("load.underruns_per_minute", 2.0),
    Figure("cpu_ms_per_call_second", HOST),
    Figure("flat", 1.0, better="more"),
    Figure("nothing_left", 1.0, better="more"),
)
_POINT = (
    Figure("to_base.cpu_ms", SAME_RUN),
    Figure("to_base.memory_mib", 1.3, least=0.5),
    Figure("figures.added_p50_ms", HOST, least=POLL_MS),
    Figure("figures.added_p99_ms", 2.0, least=POLL_MS),
    Figure("figures.barge_in_p50_ms", 1.3, least=POLL_MS),
    Figure("figures.underruns_per_minute", 2.0, least=0.1),
    Figure("held", 1.0, better="more"),
)
# What a load test was asked to do; what is not here says how long and on what, and may differ.
_PLAN = (
    *("calls", "call_s", "scenario", "think_ms", "pace", "faults", "jitter_ms"),
    *("window_ms", "lead_ms", "tools", "retrieval", "listener", "embeddings", "workers", "memory", "checks"),
)


def change(figure: Figure, old: Report, new: Report, *, name: str = "") -> Change | None:
    """Compare one figure; None where neither report has it."""
    was, now = _value(old, figure.path), _value(new, figure.path)
    if was is None and now is None:
        return None
    ratio = None if was is None or now is None else _ratio(figure, was, now)
    return Change(name or figure.path, was, now, ratio, figure.tolerance)


def _value(report: Report, path: str) -> float | None:
    found = at(report, path)
    return float(found) if isinstance(found, bool) else number(report, path)


def _ratio(figure: Figure, old: float, new: float) -> float:
    worse, better = (new, old) if figure.better == "less" else (old, new)
    worse, better = max(worse, figure.least), max(better, figure.least)
    if worse <= better:
        return worse / better if better else 1.0
    return worse / better if better > 0 else float("inf")


def loadtest(old: Report, new: Report) -> Iterator[Change | None]:
    """Two reports of ``frontdesk loadtest``."""
    searches = at(old, "capacity") is not None, at(new, "capacity") is not None
    if searches[0] != searches[1]:
        raise NotComparable("one is a search for capacity, the other one load")
    was, now = _need(old, "load.plan"), _need(new, "load.plan")
    for name in _PLAN:
        # A plan that does not know a knob is older than it.
        if name in was and name in now and was[name] != now[name] and not (searches[0] and name == "calls"):
            raise NotComparable(f"{name} was {was[name]!r} and is {now[name]!r}")
    yield from (change(figure, old, new) for figure in (CAPACITY if searches[0] else LOADTEST))


def micro(old: Report, new: Report) -> Iterator[Change | None]:
    """Two reports of ``bench.micro``; one that knows fewer cases was told to measure only those."""
    cases = _need(new, "cases")
    names = [name for name in _need(old, "cases") if name in cases]
    if not names:
        raise NotComparable("they have no case in common")
    for name in names:
        yield change(Figure(f"cases.{name}.loops", MICRO), old, new, name=name)


def sweep(old: Report, new: Report) -> Iterator[Change | None]:
    """Two reports of ``bench.sweep``, by the points that both have."""
    was, now = ((_need(one, "sweep"), _need(one, "base")) for one in (old, new))
    if was != now:
        raise NotComparable(f"one is of {was[0]} against {was[1]}, the other of {now[0]} against {now[1]}")
    known = {_need(point, "name"): _told_in_shares(point) for point in _need(new, "points")}
    both = [point for point in _need(old, "points") if _need(point, "name") in known]
    if not both:
        raise NotComparable("they have no point in common")
    yield change(Figure("base_cpu_loops", SAME_RUN), old, new)
    for point in map(_told_in_shares, both):
        for figure in _POINT:
            yield change(figure, point, known[point["name"]], name=f"{point['name']}: {figure.path}")


def _told_in_shares(point: Report) -> dict[str, Any]:
    """``held`` as the share of the runs, since rounds may be more or fewer."""
    runs, held = at(point, "runs"), number(point, "held")
    return {**point, "held": held / len(runs) if runs and held is not None else None}


def soak(old: Report, new: Report) -> Iterator[Change | None]:
    """Two reports of ``bench.soak``."""
    was, now = _need(old, "calls"), _need(new, "calls")
    if was != now:
        raise NotComparable(f"one has {was} calls, the other {now}")
    yield from (change(figure, old, new) for figure in SOAK)


def _need(report: Report, path: str) -> Any:
    found = at(report, path)
    if found is None:
        raise NotComparable(f"a report without its {path}")
    return found


KINDS: Mapping[str, Callable[[Report, Report], Iterator[Change | None]]] = {
    "micro": micro,
    "sweep": sweep,
    "soak": soak,
    "loadtest": loadtest,
}


def kind_of(report: object) -> str:
    """Which bench made it.

    Raises:
        NotComparable: none that is known here.
    """
    found = at(report, "kind") or ("loadtest" if at(report, "load.plan") is not None else None)
    if found not in KINDS:
        raise NotComparable(f"no report of {', '.join(KINDS)}")
    return str(found)


def compare(old: Report, new: Report) -> list[Change]:
    """Everything that both could say, and what only one can.

    Raises:
        NotComparable: they are about different things.
    """
    kinds = kind_of(old), kind_of(new)
    if kinds[0] != kinds[1]:
        raise NotComparable(f"one is of {kinds[0]}, the other of {kinds[1]}")
    return [found for found in KINDS[kinds[0]](old, new) if found is not None]


def main(arguments: Sequence[str] | None = None) -> int:
    """See the module."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--all", action="store_true", help="show what has not become worse too")
    given = parser.parse_args(arguments)
    try:
        changes = compare(_read(given.old), _read(given.new))
    except NotComparable as error:
        print(f"cannot be compared: {error}", file=sys.stderr)
        return 2
    worse = [one for one in changes if one.is_worse]
    shown = changes if given.all else worse
    if shown:
        print(f"{'':<58}{'old':>10}{'new':>10}{'ratio':>7}{'may':>6}")
        print("\n".join(map(str, shown)))
    print(f"{len(changes)} figures, {len(worse)} worse")
    return 1 if worse else 0


def _read(path: Path) -> Report:
    try:
        report: Report = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise NotComparable(f"{path}: {error}") from None
    return report


if __name__ == "__main__":
    sys.exit(main())
