import json
from pathlib import Path

import pytest

from engine.errors import ConfigurationError
from engine.tenants import examples
from engine.tenants.documents import parse_tenant, read_tenant, read_tenants
from engine.tenants.hours import read_week

GOOD = """
id: acme
name: Acme
numbers: ["+15550100100"]
greeting: Hello.
timezone: Europe/Berlin
hours: {monday: "08:00-17:00"}
people: [{name: the boss, for: bills, number: "+15550100111"}]
"""


def test_yaml_and_json_of_one_content_are_one_tenant(tmp_path: Path) -> None:
    tenant = parse_tenant(GOOD, origin="good.yaml")
    (tmp_path / "acme.json").write_text(json.dumps(tenant.model_dump(mode="json", by_alias=True), indent="\t"))
    assert read_tenant(tmp_path / "acme.json") == tenant
    assert tenant.people[0].for_ == "bills"


def test_a_folder_is_read_in_order_and_other_files_are_left_alone(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml"):
        (tmp_path / name).write_text(GOOD.replace("acme", name[0]))
    (tmp_path / "notes.txt").write_text("{")
    assert [tenant.id for tenant in read_tenants(tmp_path)] == ["a", "b"]
    assert [tenant.id for tenant in read_tenants(tmp_path / "b.yaml")] == ["b"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('["+15550100100"]', "[+15550100100]"), "numbers.0: 15550100100 is not text; put it in quotes"),
        (('["+15550100100"]', '["555-0100"]'), "numbers.0: '555-0100' is no E.164 number; write it as"),
        (('"08:00-17:00"', "10:00"), "hours.monday: 600 is not text; put it in quotes"),
        (('"08:00-17:00"', '"9 to 5"'), "hours.monday: cannot read '9 to 5'; write it as"),
        (("greeting: Hello.", "greetin: Hello."), "greetin: no such field ('Hello.'); correct the name or remove it"),
        (("greeting: Hello.", ""), "greeting: missing; add it"),
        (("id: acme", "id: Acme Inc"), "id: 'Acme Inc': "),
        (("Europe/Berlin", "Berlin"), "timezone: 'Berlin' is not known; write a name like"),
        (("Europe/Berlin", "../etc/passwd"), "timezone: '../etc/passwd' is not known"),
        (
            ("name: Acme", "name: Acme\nlanguage: nl-NL"),
            "language: there is no voice for the fallback script in 'nl-NL'",
        ),
        (("name: Acme", "name: Acme\nname: Bcme"), "'name' is named twice; remove one"),
        (("name: Acme", "name: [Acme"), "is neither YAML nor JSON"),
        (("name: Acme", "name: !!python/object:os.system x"), "is neither YAML nor JSON"),
        (("name: Acme", "name: Acme\ntools: [{name: t, description: d, effect: writse}]"), "tools.0.effect: 'writse'"),
        (
            ("name: Acme", "name: Acme\ntools: [{name: t, description: d, parameters: {type: array}}]"),
            "tools.0.parameters.items",
        ),
        (
            ("name: Acme", "name: Acme\ntools: [{name: t, description: d, parameters: {type: string}}]"),
            "tools.0.parameters.type",
        ),
        (
            ("name: Acme", "name: Acme\ntools: [{name: t, description: d}, {name: t, description: e}]"),
            "tools: t named twice",
        ),
    ],
)
def test_what_cannot_be_used_names_file_place_value_and_cure(
    tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    assert change[0] in GOOD
    path = tmp_path / "acme.yaml"
    path.write_text(GOOD.replace(*change))
    with pytest.raises(ConfigurationError) as refused:
        read_tenant(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert said in str(refused.value)


def test_all_wrong_fields_are_said_at_once() -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse_tenant("id: X\nvoice: 5\n", origin="x.yaml")
    assert [line.split(":")[1].strip() for line in str(refused.value).splitlines()] == [
        "id",
        "name",
        "greeting",
        "voice",
    ]


@pytest.mark.parametrize("text", ["", "[]", "just words", '{"id": "a", "id": "b"}', '{"id": ', "[" * 1200])
def test_text_that_is_no_document_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^x\.yaml: "):
        parse_tenant(text, origin="x.yaml")


def test_files_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no tenant documents here"):
        read_tenants(tmp_path)
    with pytest.raises(ConfigurationError, match=r"gone\.yaml: cannot be read \(No such file"):
        read_tenants(tmp_path / "gone.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"name: Caf\xe9")
    with pytest.raises(ConfigurationError, match="is not UTF-8"):
        read_tenants(tmp_path)


def test_the_example_that_ships_is_lively_and_fictional() -> None:
    tenant = examples.load("harbor-dental")
    assert "harbor-dental" in examples.names()
    assert len(tenant.knowledge) >= 20
    assert all(len(note.text.split()) >= 10 for note in tenant.knowledge)
    assert any(read_week(tenant.hours))
    numbers = [*tenant.numbers, *(person.number for person in tenant.people)]
    assert all(number.startswith("+1555010") for number in numbers)


def test_an_example_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(ConfigurationError, match="there are harbor-dental"):
        examples.load("../documents")
