"""What a bench ran on, and how fast that was just then: so that figures can be told as ratios."""

import os
import platform
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import engine

_TABLE = tuple(range(256))
_BYTES = bytes(range(256)) * 2
LOOPS = 400  # of one spin: some 50 us
SPINS = 200  # 10 ms or so: long enough for the clock, too short for a mood of the host to change


def spin() -> int:
    """The calibration loop: what interpreted code mostly does, looking up, slicing, adding. Never change it: every
    reference was divided by it.
    """
    total = 0
    for step in range(LOOPS):
        total += _TABLE[step & 0xFF] ^ len(_BYTES[step : step + 8])
    return total


def spin_ns(spins: int = SPINS) -> float:
    """How much CPU one spin takes now, in ns, on average over so many."""
    began = time.thread_time_ns()
    for _ in range(spins):
        spin()
    return (time.thread_time_ns() - began) / spins


def described() -> Mapping[str, Any]:
    """Processor, cores, system, Python and what else a figure hangs on."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "frontdesk": engine.__version__,
        "numpy": version("numpy"),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
