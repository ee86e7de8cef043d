"""What a tenant knows and says: knowledge, tools, script."""

from dataclasses import replace

import pytest

from engine.backoffice.app import build_backoffice
from engine.backoffice.office import Office
from engine.tenants.tenant import Tenant
from engine.voice.cache import VoiceCache
from tests.backoffice.conftest import TOKEN, Desk

PARKING = "# Parking\n\nYou can park behind the house, free of charge for patients.\n"


async def test_a_file_that_was_put_is_found_and_forgotten_again(operator: Desk, dental: Tenant) -> None:
    path = f"/v1/tenants/{dental.id}"
    for _ in range(2):  # put again, it is replaced
        put = await operator.ask(
            "PUT", f"{path}/knowledge/parking.md", data=PARKING, headers={"content-type": "text/markdown"}
        )
        assert (put.status_code, (await put.get_json())["passages"]) == (200, 1)
    listed = (await operator.get(f"{path}/knowledge"))["items"]
    assert [(one["name"], one["kind"], one["passages"]) for one in listed] == [("parking.md", "markdown", 1)]
    found = await operator.get(f"{path}/search?text=Where+can+I+leave+my+car")
    assert "behind the house" in found["passages"][0]["text"]
    assert (await operator.ask("DELETE", f"{path}/knowledge/parking.md")).status_code == 204
    assert (await operator.get(f"{path}/search?text=Where+can+I+leave+my+car"))["passages"] == []
    assert (await operator.ask("DELETE", f"{path}/knowledge/parking.md")).status_code == 404


async def test_what_cannot_be_read_is_refused_with_the_reason(operator: Desk, dental: Tenant) -> None:
    path = f"/v1/tenants/{dental.id}/knowledge"
    for name, data, media_type, status, said in (
        ("x.pdf", b"no pdf", "application/pdf", 422, "x.pdf: "),
        ("x.md", b"", "text/markdown", 422, "holds no text"),
        ("x.txt", b"\x00\x01", "text/plain", 422, "is no text"),
        ("x.exe", b"MZ", "text/plain", 422, "ending"),
        (".md", b"text", "text/plain", 422, "dot"),
        ("x.md", b"text", "image/png", 415, "text/markdown"),
        ("x.md", b"a" * 20_000_001, "text/plain", 413, "bytes"),
    ):
        refused = await operator.ask("PUT", f"{path}/{name}", data=data, headers={"content-type": media_type})
        problem = await refused.get_json()
        assert (refused.status_code, said in problem["detail"]) == (status, True), (name, problem)
        assert "/tmp" not in problem["detail"]
    assert (await operator.get(path))["items"] == []
    assert (await operator.ask("DELETE", f"{path}/tenant document")).status_code == 409


async def test_a_file_that_takes_too_long_to_read_is_refused(
    operator: Desk, dental: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.retrieval.read_apart.WAIT_S", 0.01)
    refused = await operator.ask(
        "PUT", f"/v1/tenants/{dental.id}/knowledge/x.md", data=PARKING, headers={"content-type": "text/markdown"}
    )
    assert (refused.status_code, "takes longer" in (await refused.get_json())["detail"]) == (422, True)


async def test_tools_are_listed_and_say_why_they_cannot(operator: Desk, dental: Tenant) -> None:
    path = f"/v1/tenants/{dental.id}/tools"
    assert [tool["name"] for tool in (await operator.get(path))["items"]] == [tool.name for tool in dental.tools]
    tried = await (await operator.ask("POST", f"{path}/take_message/try", {"arguments": {"name": 1}})).get_json()
    assert tried["response"]["status"] == "refused"
    assert (await operator.ask("POST", f"{path}/fly/try", {})).status_code == 404


async def test_every_line_of_the_script_can_be_read_and_heard(
    office: Office, dental: Tenant, speech: VoiceCache
) -> None:
    operator = Desk(build_backoffice(replace(office, voice=speech)), TOKEN)
    script = await operator.get(f"/v1/tenants/{dental.id}/script")
    lines = {(line["line"], line["variant"]): line for line in script["lines"]}
    assert lines["greeting", 0]["text"] == dental.greeting
    assert lines["company", 1]["text"] == dental.script.company[1]
    heard = {}
    for key in (("greeting", 0), ("company", 1), ("tool_filler", 0)):
        response = await operator.ask("GET", lines[key]["audio"])
        assert (response.status_code, response.content_type) == (200, "audio/wav")
        heard[key] = await response.get_data(as_text=False)
    assert len(set(heard.values())) == 3
    assert min(map(len, heard.values())) > 8000  # half a second at the least
    assert (await operator.ask("GET", f"/v1/tenants/{dental.id}/script/company/audio?variant=99")).status_code == 404
