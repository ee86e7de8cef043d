"""What can be known of the deployment files without a container engine: they parse, and what they name exists."""

import importlib
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from engine.__main__ import cli
from engine.config import PREFIX, Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted(DEPLOY.glob("*.service"))
SETTINGS = {PREFIX + name.upper() for name in Settings.model_fields}
OURS_ALONE = {"FRONTDESK_TENANTS"}  # of compose.yaml: a directory, not a setting


def compose() -> Any:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))


def container_lines() -> list[str]:
    text = (DEPLOY / "Containerfile").read_text("utf-8").replace("\\\n", " ")
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def commands() -> Iterator[tuple[str, list[str]]]:
    for unit in UNITS:
        (started,) = re.findall(r"^ExecStart=(.*)$", unit.read_text("utf-8"), re.MULTILINE)
        program, *arguments = shlex.split(started)
        assert program.endswith("/frontdesk")
        yield unit.name, arguments
    for name, service in compose()["services"].items():
        if service["image"] == "frontdesk":
            yield f"compose {name}", service["command"]
    (default,) = (line for line in container_lines() if line.startswith("CMD "))
    yield "Containerfile", yaml.safe_load(default.removeprefix("CMD "))
    for line in re.findall(
        r"compose run .*? gateway (.*)$", (DEPLOY / "compose.yaml").read_text("utf-8"), re.MULTILINE
    ):
        yield "compose.yaml's head", shlex.split(line)


def test_every_command_that_is_started_is_one_of_ours_with_options_that_it_has() -> None:
    found = list(commands())
    assert len(found) >= 5
    for where, (name, *arguments) in found:
        command, given = cli.commands[name], [one for one in arguments if one.startswith("--")]
        for inner in arguments:
            if isinstance(command, click.Group):
                command = command.commands[inner]
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        assert set(given) <= known, where


def test_every_setting_that_is_named_exists() -> None:
    files = [path for path in DEPLOY.rglob("*") if path.is_file()]
    assert len(files) > 8
    for path in files:
        named = set(re.findall(r"\bFRONTDESK_[A-Z0-9_]+", path.read_text("utf-8")))
        assert named <= SETTINGS | OURS_ALONE, path.name


def test_services_wait_for_the_database_and_are_told_the_same_secret() -> None:
    services = compose()["services"]
    for name in ("gateway", "backoffice"):
        assert services[name]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
        assert services[name]["environment"]["FRONTDESK_SECRET_KEY"].startswith("${FRONTDESK_SECRET_KEY:?")
        assert "@postgres/" in services[name]["environment"]["FRONTDESK_DATABASE_URL"]


def test_nothing_is_published_but_to_this_machine() -> None:
    published = [port for service in compose()["services"].values() for port in service.get("ports", ())]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_every_volume_and_file_that_is_mounted_is_there() -> None:
    document = compose()
    for name, service in document["services"].items():
        for volume in service["volumes"]:
            source = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", volume).split(":")[0]
            there = source in document["volumes"] if "/" not in source else (DEPLOY / source).exists()
            assert there, f"{name}: {volume}"
    built = document["services"]["gateway"]["build"]
    assert (DEPLOY / built["context"] / built["dockerfile"]).is_file()


def test_a_stop_leaves_time_for_the_drain() -> None:
    grace_s = int(compose()["services"]["gateway"]["stop_grace_period"].removesuffix("s"))
    stop_s = int(
        re.findall(r"^TimeoutStopSec=(\d+)$", (DEPLOY / "frontdesk.service").read_text("utf-8"), re.MULTILINE)[0]
    )
    drain_s = Settings.model_fields["drain_s"].default
    assert min(grace_s, stop_s) >= drain_s + 30


def test_the_image_runs_as_nobody_special_and_copies_what_there_is() -> None:
    lines = container_lines()
    assert [line for line in lines if line.startswith("USER ")] == ["USER frontdesk"]
    assert lines.index("USER frontdesk") < next(at for at, line in enumerate(lines) if line.startswith("ENTRYPOINT"))
    assert sum(line.startswith("FROM ") for line in lines) == 2
    assert any(line.startswith("HEALTHCHECK") and "/health/live" in line for line in lines)
    for line in lines:
        if line.startswith("COPY ") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists(), source


def test_the_image_keeps_what_running_needs_and_nothing_of_testing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DEPLOY))
    not_needed: Any = importlib.import_module("not_needed")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    installed = not_needed.requires
    # As it will be installed there, whatever has become of the editable one here.
    ours = [
        *project["dependencies"],
        *(f'{one.split(";")[0]}; extra == "dev"' for one in project["optional-dependencies"]["dev"]),
    ]
    monkeypatch.setattr(not_needed, "requires", lambda name: ours if name == "frontdesk" else installed(name))
    needed = not_needed.needed("frontdesk")
    assert {"asyncpg", "quart-schema", "onnxruntime", "hpack", "standardwebhooks"} <= needed
    assert not {"pytest", "playwright", "hypothesis", "mypy", "openai", "uv"} & needed


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_has_nothing_to_say_of_a_unit(unit: Path, tmp_path: Path) -> None:
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("no systemd-analyze here")
    # The same unit with a program that is there.
    text = unit.read_text("utf-8").replace("/srv/frontdesk/.venv/bin/frontdesk", sys.executable)
    (tmp_path / unit.name).write_text(text.replace("frontdesk.service", ""), "utf-8")
    done = subprocess.run(
        [verify, "verify", "--man=no", str(tmp_path / unit.name)], capture_output=True, text=True, check=False
    )
    said = [line for line in done.stderr.splitlines() if unit.name in line]
    assert said == []
