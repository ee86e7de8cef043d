"""What ``frontdesk demo`` shows: the call's timeline as it happens, and what it came to."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.panel import Panel
from rich.status import Status
from rich.table import Table
from rich.text import Text

from engine.call.record import Moment
from engine.sim.showcase import Shown
from engine.sim.showcase_checks import likeness
from engine.sim.stories import Story

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
_UNMEASURED = "not measured"
_ALIKE = 0.65  # of what a caller said and what was understood: the same utterance


class Progress:
    """One line that says what is being waited for before the call."""

    def __init__(self, status: Status) -> None:
        self._status = status

    def prepared(self, part: float) -> None:
        """So much of the weights, 0 to 1."""
        self._status.update(f"preparing speech recognition, once on this machine: {part:.0%}")

    def done(self) -> None:
        """Nothing is waited for."""
        self._status.stop()


class DemoView:
    """Prints one line for each moment worth seeing; ``show`` is a plain call and returns at once."""

    def __init__(self, console: Console, story: Story) -> None:
        self._console = console
        self._story = story
        self._to_say = [clip.text for clip in story.asks]

    def begin(self) -> None:
        """Say what is about to happen, and what of it is simulated."""
        self._console.print(
            Panel(
                f"One call to [bold]{self._story.tenant.name}[/] (fictional), on this machine: a simulated caller "
                f"rings the real gateway over real sockets. {self._who_answers()}",
                title="Frontdesk",
                border_style="dim",
            )
        )

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """A line for the time before the call."""
        with self._console.status("starting the local voice") as status:
            yield Progress(status)

    def _who_answers(self) -> str:
        if self._story.is_simulated:
            return (
                "A simulated Gemini Live, which knows two questions by heart, answers until it is cut off in "
                "mid-sentence. After that it is the local voice, and nothing of that is simulated: it recognises what "
                "it hears, finds the passage and says it. Ask it yourself with --say or --wav."
            )
        if self._story.tenant.models == ("local",):
            return "The local voice answers what it understands."
        return "The model that there is a key for answers."

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

    def end(self, shown: Shown, failed: tuple[str, ...], out: Path) -> None:
        """Figures, files, and what went wrong if anything did."""
        report = shown.report
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        table.add_column(style="dim")
        table.add_column(justify="right")
        table.add_column(style="dim")
        for name, figure, meaning in _rows(report):
            if figure == _UNMEASURED:
                continue
            table.add_row(name, figure, meaning)
        self._console.print()
        self._console.print(Panel(table, title="measured at the caller's ear", border_style="dim"))
        self._console.print(f"  listen  {out / 'call.wav'}   (caller left, agent right)")
        self._console.print(f"  read    {out / 'transcript.txt'}, {out / 'report.json'}")
        self._console.print("  talk    frontdesk demo --stay   (with your own microphone, in a browser)")
        if failed:
            for failure in failed:
                self._console.print(f"  [bold red]failed[/]  {failure}")
        else:
            self._console.print("  [bold green]done[/]    the call did all it should")

    def _line(self, moment: Moment) -> tuple[str, str, str] | None:
        facts = moment.facts
        match moment.kind:
            case "line":
                return "line", "the phone is answered", ""
            case "caller":
                return self._caller(moment.text)
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
                return "model", f"{moment.text} holds the floor", f"session {facts['session']}"
            case "handover":
                return "model", f"{facts['source']} hands over to {facts['target']}", ""
            case "ended":
                return "line", f"the call ends: {facts['reason']}", ""
            case _:
                return None

    def _caller(self, understood: str) -> tuple[str, str, str]:
        """What the caller said, and what was understood where that is another text."""
        said = next((text for text in self._to_say if likeness(text, understood) >= _ALIKE), None)
        if said is None:
            return "caller", understood, "(as understood)"
        del self._to_say[: self._to_say.index(said) + 1]
        return "caller", said, "understood" if said == understood else f'understood "{understood}"'


def _retrieved(moment: Moment) -> str:
    passages = moment.facts.get("passages")
    if passages:
        return ", ".join(f"{source} ({score:.1f})" for source, score in passages)
    why = moment.facts.get("why")
    return f"none ({why})" if why else moment.facts["outcome"]


def _rows(report: dict[str, object]) -> list[tuple[str, str, str]]:
    def worst(key: str) -> str:
        spread = report[key]
        return f"{spread['max']:.0f} ms" if isinstance(spread, dict) else _UNMEASURED

    rows = [
        ("setup", worst("setup_ms"), "first ring to first word"),
        ("response", worst("response_ms"), "end of the caller's words to the agent's first sound, worst of the call"),
        ("hand-over", worst("handover_ms"), "from the cut at the model to the script's first sound"),
        ("longest silence", worst("longest_silence_ms"), "while the caller waited"),
        ("underruns", f"{report['underruns_per_minute']:g}", "per minute: times the agent's sound ran dry"),
    ]
    if isinstance(effects := report["effects"], dict):
        rows.append(("effects", f"{effects['done']} of {effects['expected']}", f"{effects['duplicated']} doubled"))
    return rows
