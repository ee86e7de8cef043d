"""The OpenAPI document, and the running application held to it by somebody else's tool.

A bounded look at every operation, the same each time; ``schemathesis run`` against a running back office looks longer.
"""

from copy import deepcopy
from functools import partial
from typing import Any

import schemathesis
import trio
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import ignored_auth

from engine.backoffice.app import Serving, serve_backoffice
from engine.backoffice.office import Office
from engine.tenants.tenant import Tenant
from tests.backoffice.conftest import TOKEN, Desk
from tests.backoffice.test_isolation import leave_everything

# Of what an operation takes, and of what it does not.
EXAMPLES = {GenerationMode.POSITIVE: 2, GenerationMode.NEGATIVE: 1}
# What a document may say goes beyond its schema (a time zone that there is, tools that can be done), and what an ETag
# names may be gone: schemathesis counts on neither.
BEYOND_SCHEMA = ["2xx", "401", "403", "404", "409", "412", "422", "428", "503"]
# Asks gateways, of which there are none here, and would wait for them.
ELSEWHERE = "/live"
THE_ONE_THAT_ALL_IS_ASKED_OF = ("delete", "/v1/tenants/{tenant_id}")


async def test_every_operation_answers_as_its_document_says(office: Office, operator: Desk, dental: Tenant) -> None:
    ids = {**await leave_everything(office, dental, "0" * 12), "tenant_id": dental.id}
    document = await operator.get("/openapi.json")
    shutdown = trio.Event()
    async with trio.open_nursery() as nursery:
        serving: Serving = await nursery.start(partial(serve_backoffice, office, shutdown=shutdown))
        for mode, known in ((GenerationMode.POSITIVE, ids), (GenerationMode.NEGATIVE, {"tenant_id": dental.id})):
            await trio.to_thread.run_sync(hold_to, with_ids(document, known), serving.url, mode)
        shutdown.set()


def with_ids(document: dict[str, Any], ids: dict[str, str]) -> dict[str, Any]:
    """The same, with ids that there are where a path has one: what is behind a 404 is what is of interest."""
    document = deepcopy(document)
    for operations in document["paths"].values():
        for parameter in (one for operation in operations.values() for one in operation["parameters"]):
            if parameter["in"] == "path" and parameter["name"] in ids:
                given = ids[parameter["name"]]
                parameter["schema"] = {"enum": [int(given) if parameter["schema"]["type"] == "integer" else given]}
                parameter.pop("example", None)
    return document


def hold_to(document: dict[str, Any], url: str, mode: GenerationMode) -> None:
    """Ask every operation. Raises what schemathesis finds. Blocks."""
    schema = schemathesis.openapi.from_dict(document)
    schema.config.checks.positive_data_acceptance.expected_statuses = BEYOND_SCHEMA
    schema.config.generation.update(allow_x00=False)
    operations: list[Any] = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    assert len(operations) > 40
    for operation in operations:
        if ELSEWHERE not in operation.path and (operation.method, operation.path) != THE_ONE_THAT_ALL_IS_ASKED_OF:
            _ask(operation, url, mode)


def _ask(operation: Any, url: str, mode: GenerationMode) -> None:
    @settings(
        max_examples=EXAMPLES[mode],
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        headers = {"authorization": f"Bearer {TOKEN}"}
        # That check's way of taking the token away does not reach one given like this: see test_isolation.py.
        case.call_and_validate(base_url=url, headers=headers, excluded_checks=[ignored_auth])

    ask()
