"""The lock's check: what it accepts, and every kind of damage that it names."""

from pathlib import Path

import pytest

from bench.check_lock import CURE, ROOT, complaints, main

HASH = "sha256:" + "0123456789abcdef" * 4
PYPROJECT = """
[project]
dependencies = ["trio>=0.30", "Types_PyYAML"]
[project.optional-dependencies]
dev = ["pytest>=8.3"]
"""
PINS = {"trio": "0.35.0", "types-pyyaml": "6.0.12", "pytest": "9.2.0", "attrs": "26.1.0"}


def lock(pins: dict[str, str], found: str = f" \\\n    --hash={HASH} \\\n    --hash={HASH}") -> str:
    return "".join(f"{name}=={version}{found}\n" for name, version in pins.items())


def test_whole_lock_has_nothing_wrong() -> None:
    text = "# a comment\n" + lock(PINS) + f"colorama==0.4.6 ; sys_platform == 'win32' \\\n    --hash={HASH}\n"
    assert list(complaints(PYPROJECT, text)) == []


def test_one_name_may_have_a_pin_for_each_python() -> None:
    text = lock(PINS) + "".join(
        f"numpy=={version} ; python_full_version {when} '3.12' \\\n    --hash={HASH}\n"
        for version, when in (("2.4.6", "<"), ("2.5.5", ">="))
    )
    assert list(complaints(PYPROJECT, text)) == []


@pytest.mark.parametrize("missing", ["trio", "types-pyyaml", "pytest"])
def test_missing_dependency_is_named_also_of_an_extra(missing: str) -> None:
    pins = {name: version for name, version in PINS.items() if name != missing}
    (said,) = complaints(PYPROJECT, lock(pins))
    assert missing.replace("-", "_") in said.lower().replace("-", "_")
    assert "not in the lock" in said


def test_pin_that_pyproject_no_longer_allows_is_named() -> None:
    (said,) = complaints(PYPROJECT, lock(PINS | {"trio": "0.29.0"}))
    assert said == "trio==0.29.0 is locked, but pyproject.toml asks for trio>=0.30"


@pytest.mark.parametrize("found", ["", " --hash=md5:0123", f" --hash={HASH[:-1]}", f" --hash={HASH} --hash=sha256:0"])
def test_pin_without_a_whole_hash_is_named(found: str) -> None:
    said = list(complaints(PYPROJECT, lock(PINS) + f"idna==3.20{found}\n"))
    assert said == ["idna has no sha256 hash, or one that is damaged"]


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://index.example/simple",
        "-i https://index.example/simple",
        "--find-links ./wheels",
        "idna @ https://index.example/idna.whl",
        f"idna @ file:///idna.whl --hash={HASH}",
        "-e .",
    ],
)
def test_address_or_option_is_named(line: str) -> None:
    (said,) = complaints(PYPROJECT, lock(PINS) + line + "\n")
    assert said.startswith("holds an address or an option")


@pytest.mark.parametrize("loose", ["idna>=3", "idna", "idna==3.*", "idna==3.2,>=3.1"])
def test_loose_version_is_named(loose: str) -> None:
    (said,) = complaints(PYPROJECT, lock(PINS) + f"{loose} --hash={HASH}\n")
    assert said == "idna is not pinned to one version"


def test_line_that_is_no_requirement_is_named() -> None:
    (said,) = complaints(PYPROJECT, lock(PINS) + "<<<<<<< ours\n")
    assert said == "cannot be read: <<<<<<< ours"


def test_cure_is_said_and_the_status_is_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pyproject.toml").write_text(PYPROJECT, "utf-8")
    (tmp_path / "requirements.lock").write_text("", "utf-8")
    monkeypatch.setattr("bench.check_lock.ROOT", tmp_path)
    assert main() == 1
    assert capsys.readouterr().err.endswith(f"{CURE}\n")


def test_our_own_lock_is_whole() -> None:
    texts = [(ROOT / name).read_text("utf-8") for name in ("pyproject.toml", "requirements.lock")]
    assert list(complaints(*texts)) == []
