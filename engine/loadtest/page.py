"""The report as one page that needs nothing else, no network either: figures, and plots over time."""

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; } th, td { padding: .2rem 1rem .2rem 0; text-align: left; }
td { font-variant-numeric: tabular-nums; } .held { color: #197a3d; } .failed { color: #c0261c; }
@media (prefers-color-scheme: dark) { body { background: #16181c; color: #e6e6e6; } .held { color: #5bd087; }
.failed { color: #ff8077; } }
"""
# Readable on light and on dark, whichever the page is shown in.
_LAYOUT: Mapping[str, Any] = {
    "height": 320,
    "margin": {"t": 48, "b": 40, "l": 56, "r": 16},
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(128,128,128,0.12)",
    "font": {"color": "#888"},
    "xaxis": {"gridcolor": "rgba(128,128,128,0.3)", "zeroline": False},
    "yaxis": {"gridcolor": "rgba(128,128,128,0.3)", "zeroline": False},
}
_SPREADS = {
    "response_ms": "end of caller's speech to the agent's first sound",
    "added_ms": "of that, without endpointing and the model's own time",
    "setup_ms": "first request to the agent's first sound",
    "barge_in_ms": "caller's first sound to the agent's silence",
    "longest_silence_ms": "longest silence while the caller waited",
    "lateness_ms": "media later than its playback (negative: lead)",
}
_PLOTS: Sequence[tuple[str, str, Sequence[tuple[str, str]]]] = (
    ("Calls on the line", "calls", (("up", "up"),)),
    ("Response of the calls that ended", "ms", (("response_ms", "median"),)),
    (
        "How late clocks were",
        "ms",
        (
            ("loop_lag_ms", "server loop, worst"),
            ("plane_late_ms", "media plane, p99"),
            ("generator_late_ms", "generator"),
        ),
    ),
    ("The server's CPU per second of a call", "ms", (("cpu_ms_per_call", "of a second"),)),
    (
        "Busy cores",
        "cores",
        (
            ("server_cores", "server"),
            ("generator_cores", "busiest generator"),
            ("peers_cores", "simulated model"),
            ("database_cores", "database"),
            ("elsewhere_busy", "all but the server's, share used by anybody"),
        ),
    ),
    ("Memory of the server", "MiB", (("rss_mib", "resident"),)),
    ("Queues", "messages", (("queued", "longest of any call"), ("queued_total", "all together"))),
    ("Threads and descriptors of the server", "", (("threads", "threads"), ("descriptors", "descriptors"))),
)


def page(report: Mapping[str, Any]) -> str:
    """HTML. Slow (a second): the plotting library is imported here, and goes into the page."""
    load = report["load"]
    verdict = '<strong class="held">held</strong>'
    if not load["held"]:
        verdict = f'<strong class="failed">did not hold</strong>: {html.escape("; ".join(load["failures"]))}'
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>Load test: {load['plan']['calls']} calls</title><style>{_STYLE}</style>",
        f"<h1>{load['plan']['calls']} calls at once, {load['plan']['duration_s']:g} s</h1>",
        f"<p>Quality {verdict}. Limited by: {html.escape(str(report['limited_by']))}.</p>",
        "<h2>At the caller's ear</h2>",
        _spreads(report),
        "<h2>What it cost, and what happened</h2>",
        _table(_counts(report)),
        "<h2>Over time</h2>",
        *_plots(report),
        "<h2>The plan</h2>",
        _table(dict(load["plan"]) | dict(report["versions"])),
    ]
    return "\n".join(parts) + "</html>\n"


def write_page(report: Mapping[str, Any], path: Path) -> None:
    """See ``page``."""
    path.write_text(page(report), "utf-8")


def _spreads(report: Mapping[str, Any]) -> str:
    rows = ["<tr><th>ms<th>p50<th>p95<th>p99<th>max</tr>"]
    for name, said in _SPREADS.items():
        if (spread := report[name]) is not None:
            cells = "".join(f"<td>{spread[share]:.0f}" for share in ("p50", "p95", "p99", "max"))
            rows.append(f"<tr><td>{html.escape(said)}{cells}</tr>")
    return f"<table>{''.join(rows)}</table>"


def _counts(report: Mapping[str, Any]) -> dict[str, object]:
    server, load = report["server"], report["load"]
    shown: dict[str, object] = {f"calls {name}": count for name, count in report["calls"].items()}
    shown |= {
        "turns answered": load["turns_answered"],
        "not answered": load["unanswered"],
        "underruns per minute": report["underruns_per_minute"],
        "lost frames": load["lost_frames"],
        "server, cores": server["cores"],
        "server, ms of CPU per second of a call": server["cpu_ms_per_call_second"],
        "server, MiB per call": server["memory_mib_per_call"],
        "busiest generator, cores at most": load["generator_cores"],
        "breaches of the carrier's protocol": report["protocol_faults"],
        "breaches of the model's protocol": load["model_protocol_faults"],
        "checks of callers and model": "{callers}, {model}".format(**load["checks"]),
    }
    if (generator := load["generator"]) is not None:
        shown |= {
            "callers, cores per 100 calls": generator["callers_cores_per_100"],
            "simulated model, cores per 100 calls": generator["peers_cores_per_100"],
        }
    if (memory := load["memory"]) is not None:
        shown["server, MiB for each call after the first"] = memory.get("per_further_call_mib")
    return {name: value for name, value in shown.items() if value is not None}


def _table(rows: Mapping[str, object]) -> str:
    cells = "".join(f"<tr><td>{html.escape(str(n))}<td>{html.escape(str(v))}</tr>" for n, v in rows.items())
    return f"<table>{cells}</table>"


def _plots(report: Mapping[str, Any]) -> list[str]:
    from plotly import graph_objects, io

    histogram = report["response_histogram"]
    spread = graph_objects.Figure(
        graph_objects.Bar(x=[float(ms) for ms in histogram["counts"]], y=list(histogram["counts"].values())),
        layout={**_LAYOUT, "title": "Responses", "xaxis_title": "ms", "yaxis_title": f"per {histogram['bin_ms']} ms"},
    )
    drawn = [io.to_html(spread, full_html=False, include_plotlyjs="inline")]
    for title, unit, lines in _PLOTS:
        figure = graph_objects.Figure(layout={**_LAYOUT, "title": title, "xaxis_title": "s", "yaxis_title": unit})
        for key, name in lines:
            points = [(one["at_s"], one[key]) for one in report["series"] if one[key] is not None]
            if points:
                at, values = zip(*points, strict=True)
                figure.add_scatter(x=at, y=values, name=name, mode="lines+markers" if len(at) < 40 else "lines")
        if figure.data:
            drawn.append(io.to_html(figure, full_html=False, include_plotlyjs=False))
    return drawn
