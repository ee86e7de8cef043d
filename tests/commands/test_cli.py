"""The command line as a whole: what it offers, and how it ends when something is wrong."""

import subprocess
import sys
from collections.abc import Callable

import pytest
from click.testing import CliRunner

import engine
import engine.__main__ as command_line
from engine.errors import ConfigurationError
from tests.commands.conftest import Run


def test_version_is_the_package_s_own() -> None:
    result = CliRunner().invoke(command_line.cli, ["version"])
    assert result.exit_code == 0
    assert result.output == f"frontdesk {engine.__version__}\n"


def test_module_and_script_are_the_same_command() -> None:
    ran = subprocess.run([sys.executable, "-m", "engine", "version"], capture_output=True, text=True, check=True)
    assert ran.stdout == f"frontdesk {engine.__version__}\n"
    assert ran.stderr == ""


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_names_every_command(flag: str) -> None:
    result = CliRunner().invoke(command_line.cli, [flag])
    assert result.exit_code == 0
    for name, command in command_line.cli.commands.items():
        assert name in result.output
        assert command.help, f"{name} does not say what it does"


def test_unknown_command_is_a_usage_error(run: Run) -> None:
    ran = run("answer-the-phone")
    assert ran.status == 2
    assert "No such command" in ran.err


def fails_with(error: BaseException) -> Callable[[], None]:
    def cli() -> None:
        raise error

    return cli


@pytest.mark.parametrize(
    "error",
    [
        ConfigurationError("the cure"),
        ExceptionGroup("nursery", [ExceptionGroup("inner nursery", [ConfigurationError("the cure")])]),
    ],
)
def test_set_up_mistake_is_one_line_however_deep_it_comes_from(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(command_line, "cli", fails_with(error))
    ran = run()
    assert (ran.status, ran.out, ran.err) == (2, "", "frontdesk: the cure\n")


def test_interruption_inside_nurseries_is_quiet(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_line, "cli", fails_with(BaseExceptionGroup("nursery", [KeyboardInterrupt()])))
    ran = run()
    assert (ran.status, ran.out, ran.err) == (130, "", "")


def test_what_nobody_foresaw_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_line, "cli", fails_with(ExceptionGroup("nursery", [LookupError("a bug")])))
    with pytest.raises(ExceptionGroup) as raised:
        command_line.main()
    assert raised.group_contains(LookupError, match="a bug")
