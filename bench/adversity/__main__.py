"""Place seeded calls under every fault and print what came of them.

    python -m bench.adversity                                    the whole table, 50 runs a row
    python -m bench.adversity --json FILE                        the same, its figures kept
    python -m bench.adversity --markdown                         the README's summary of all that was kept
    python -m bench.adversity --group line --runs 10             one group, fewer
    python -m bench.adversity --rows deaf --only-seed 7 --events one run again, with its sequence of events

Exit status 1 where a bar is broken; the seeds that broke it are named. The same seed gives the same sequence of events.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.adversity.cast import Cast
from bench.adversity.rows import ALL, chosen
from bench.adversity.runner import estimated_s, run_all
from bench.adversity.summary import summary
from bench.adversity.table import Judged, as_json, as_text
from bench.adversity.types import GROUPS
from engine import log

REFERENCE = Path(__file__).parent.parent / "reference"
SPEECH = Path(".frontdesk") / "voice"  # rendered once, found again by the next run, and by the demo


def main() -> None:
    """See the module."""
    args = _arguments()
    log.configure("CRITICAL")
    if args.markdown:
        print(summary(REFERENCE, table=args.json))
        return
    rows = chosen(args.rows, args.group)
    if args.list:
        print("\n".join(f"{row.group:<10} {row.name:<22} {row.fault}" for row in rows))
        return
    seeds = [args.only_seed] if args.only_seed is not None else list(range(args.seed, args.seed + args.runs))
    began = time.monotonic()
    Cast(args.voice).render()
    print(f"about {estimated_s(rows, len(seeds), args.jobs) / 60:.1f} minutes", file=sys.stderr)
    judged = run_all(rows, seeds, args.voice, args.jobs)
    if args.events:
        for one in judged:
            for run in one.runs:
                print(f"{one.row.name}, seed {run.seed}", *run.events, sep="\n  ")
    took_s = time.monotonic() - began
    print(as_text(judged))
    verdict = "hold" if _hold(judged) else "do NOT hold"
    print(f"{len(rows) * len(seeds)} calls in {took_s:.0f} s; the bars {verdict}")
    if args.json:
        args.json.write_text(json.dumps(as_json(judged, seed=args.seed, took_s=took_s), indent=2) + "\n")
    sys.exit(0 if _hold(judged) else 1)


def _hold(judged: Sequence[Judged]) -> bool:
    return all(one.holds for one in judged)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.adversity", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=_names, default=[], metavar="NAME,...", help="only these")
    parser.add_argument("--group", choices=GROUPS, help="only this group")
    parser.add_argument("--runs", type=int, default=50, help="seeds per row")
    parser.add_argument("--seed", type=int, default=1, help="the first of them")
    parser.add_argument("--only-seed", type=int, help="this one and no other")
    parser.add_argument("--events", action="store_true", help="print each run's sequence of events")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="processes")
    parser.add_argument(
        "--json", type=Path, help=f"keep the figures here (the reference is {REFERENCE.name}/adversity.json)"
    )
    parser.add_argument("--markdown", action="store_true", help="print the README's summary of kept figures")
    parser.add_argument("--voice", type=Path, default=SPEECH, help="directory of rendered speech")
    parser.add_argument("--list", action="store_true", help="say which rows there are")
    return parser.parse_args()


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in {row.name for row in ALL}]:
        raise argparse.ArgumentTypeError(f"there is no row {unknown[0]!r}; --list says which there are")
    return names


if __name__ == "__main__":
    main()
