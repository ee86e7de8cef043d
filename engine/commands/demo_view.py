"""What ``frontdesk demo`` shows: the call's timeline as it happens, and what it came to."""

from pathlib import Path

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from engine.call.record import Moment
from engine.sim.showcase import Shown
from engine.tenants.tenant import Tenant

_STYLE = {
    "caller": "bold cyan",
    "agent": "bold green",
    "script": "bold yellow",
    "notes": "magenta",
    "tool": "blue",
    "model": "bold red",
    "line": "dim",
}
_TIME_WIDTH = 8
_WHO_WIDTH = 6


class DemoView:
    """Prints one line for each moment worth seeing; ``show`` is a plain call and returns at once."""

    def __init__(self, console: Console, tenant: Tenant) -> None:
        self._console = console
        self._tenant = tenant

    def begin(self) -> None:
        """Say what is about to happen."""
        self._console.print(
            Panel(
                f"One call to [bold]{self._tenant.name}[/] (fictional), on this machine alone: a simulated caller, the "
                "real gateway over real sockets, and a simulated Gemini Live that will be cut off in mid-sentence.",
                title="Frontdesk",
                border_style="dim",
            )
        )

    def show(self, call_sid: str, moment: Moment) -> None:
        """One moment of the timeline."""
        del call_sid  # there is one call
        said = self._line(moment)
        if said is None:
            return
        who, text, detail = said
        row = Table.grid(padding=(0, 1))
        row.add_column(width=_TIME_WIDTH, justify="right", style="dim")
        row.add_column(width=_WHO_WIDTH)
        row.add_column()
        words = Text(text)
        if detail:
            words.append(f"  {detail}", style="dim")
        row.add_row(f"{moment.at_ms / 1000:.2f} s", Text(who, style=_STYLE.get(who, "")), words)
        self._console.print(row)

    def end(self, shown: Shown, out: Path) -> None:
        """Figures, files, and what went wrong if anything did."""
        report = shown.report
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        table.add_column(style="dim")
        table.add_column(justify="right")
        table.add_column(style="dim")
        for name, figure, meaning in _rows(report):
            table.add_row(name, figure, meaning)
        self._console.print()
        self._console.print(Panel(table, title="measured at the caller's ear", border_style="dim"))
        self._console.print(f"  listen  {out / 'call.wav'}   (caller left, agent right)")
        self._console.print(f"  read    {out / 'transcript.txt'}, {out / 'report.json'}")
        if shown.failures:
            for failure in shown.failures:
                self._console.print(f"  [bold red]failed[/]  {failure}")
        else:
            self._console.print("  [bold green]done[/]    the call did all it should")

    def _line(self, moment: Moment) -> tuple[str, str, str] | None:
        facts = moment.facts
        match moment.kind:
            case "line":
                return "line", "the phone is answered", ""
            case "caller":
                return "caller", moment.text, ""
            case "agent":
                return "agent", moment.text, ""
            case "script":
                return "script", moment.text, "the scripted voice"
            case "filler":
                return "agent", moment.text, "filler"
            case "response":
                waited = facts.get("response_ms")
                return ("line", "the agent begins to speak", f"{waited} ms after the caller") if waited else None
            case "cut":
                return "agent", f"{moment.text} ...", f"heard {facts['heard_ms']} of {facts['of_ms']} ms"
            case "retrieved":
                return "notes", _retrieved(moment), f"held the answer back {facts['held_ms']:g} ms"
            case "tool_call":
                arguments = ", ".join(f"{name}={value}" for name, value in facts["arguments"].items())
                return "tool", f"{moment.text}({arguments})", ""
            case "tool_result":
                again = ", answered from the ledger" if facts["deduplicated"] else ""
                return "tool", str(facts["response"].get("message", "")), f"{facts['ms']} ms{again}"
            case "model_lost":
                return "model", f"lost: {moment.text}", ""
            case "model":
                return "model", "a session holds the floor", f"session {facts['session']}"
            case "handover":
                return "model", f"{facts['source']} hands over to {facts['target']}", ""
            case "ended":
                return "line", f"the call ends: {facts['reason']}", ""
            case _:
                return None


def _retrieved(moment: Moment) -> str:
    passages = moment.facts.get("passages")
    if passages:
        return ", ".join(f"{source} ({score:.1f})" for source, score in passages)
    why = moment.facts.get("why")
    return f"none ({why})" if why else moment.facts["outcome"]


def _rows(report: dict[str, object]) -> list[tuple[str, str, str]]:
    def worst(key: str) -> str:
        spread = report[key]
        return f"{spread['max']:.0f} ms" if isinstance(spread, dict) else "not measured"

    effects = report["effects"]
    assert isinstance(effects, dict)
    return [
        ("setup", worst("setup_ms"), "first ring to first word"),
        ("response", worst("response_ms"), "end of the caller's words to the agent's first sound, worst of the call"),
        ("hand-over", worst("handover_ms"), "from the cut at the model to the script's first sound"),
        ("longest silence", worst("longest_silence_ms"), "while the caller waited"),
        ("underruns", f"{report['underruns_per_minute']:g}", "per minute: times the agent's sound ran dry"),
        ("effects", f"{effects['done']} of {effects['expected']}", f"{effects['duplicated']} doubled"),
    ]
