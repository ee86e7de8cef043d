"""The OpenAPI document: what quart-schema makes of the routes, completed by what every route shares.

Path parameters get their form from the route's own converters, which also refuse everything else (404); every operation
gets the errors, the bearer's token and, where it is a POST, the idempotency key.
"""

from collections.abc import Callable, Iterable
from typing import Any

from pydantic import BaseModel
from quart_schema.openapi import OpenAPIProvider
from werkzeug.routing import BaseConverter
from werkzeug.routing.rules import Rule

from engine.backoffice.endpoint import CONSUMES, PRODUCES
from engine.backoffice.once import HEADER, LONGEST
from engine.backoffice.problems import CONTENT_TYPE, ProblemDetails
from engine.backoffice.reading import JSON

REF = "#/components/schemas/{model}"


class Slug(BaseConverter):
    """A tenant's id."""

    regex = r"[a-z0-9][a-z0-9-]{0,62}"
    example = "harbor-dental"


class Name(BaseConverter):
    """An id as the store takes it: a call's, a task's, a key's."""

    regex = r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}"
    example = "CA0123456789abcdef0123456789abcdef"


class Phone(BaseConverter):
    """A caller's number as the carrier gave it, such as ``+15550100123`` (a plus in a path stands for itself)."""

    regex = r"[A-Za-z0-9+][A-Za-z0-9+:@._-]{0,63}"
    example = "+15550100123"


class FileName(BaseConverter):
    """What a source of knowledge is called: a file's name, perhaps with its folder."""

    regex = r"[^/\\\x00-\x1f\x7f][^\x00-\x1f\x7f]{0,199}"
    example = "faq.md"
    part_isolating = False


class Number(BaseConverter):
    """A telephone number, E.164."""

    regex = r"\+[1-9][0-9]{6,14}"
    example = "+15550100123"


CONVERTERS: dict[str, type[BaseConverter]] = {
    "slug": Slug,
    "name": Name,
    "phone": Phone,
    "e164": Number,
    "file": FileName,
}


class Provider(OpenAPIProvider):
    """What quart-schema asks for each route of."""

    _made: dict[str, Any] | None = None

    def generate_rules(self) -> Iterable[Rule]:
        """The API's alone; pages are not in the document."""
        rules = (rule for rule in super().generate_rules() if rule.rule.startswith("/v1"))
        return sorted(rules, key=lambda rule: (rule.rule, sorted(rule.methods or ())))

    def operation_id(self, method: str, path: str, func: Callable[..., Any]) -> str | None:  # noqa: ARG002
        """Unique whatever handlers are called: the same name may be in two files."""
        parts = [part.strip("{}") for part in path.removeprefix("/v1/").split("/")]
        return "_".join((method.lower(), *parts)).replace("-", "_")

    def build_path_parameter(self, name: str, converter: BaseConverter) -> dict[str, Any]:
        """With the form that the route takes."""
        built = super().build_path_parameter(name, converter)
        if type(converter) in CONVERTERS.values():
            built["schema"] = {"type": "string", "pattern": f"^{converter.regex}$"}
            built["example"] = converter.example  # type: ignore[attr-defined]  # of ours, all of which have one
        return built

    def build_paths(self, rule: Rule) -> tuple[dict[str, Any], dict[str, Any]]:
        """With other media types than JSON, and what every operation shares."""
        paths, components = super().build_paths(rule)
        func = self._app.view_functions[rule.endpoint]
        for path, operations in paths.items():
            for method, operation in operations.items():
                operation["tags"] = [_resource(path)]
                _complete(operation, method, func)
        return paths, components

    def schema(self) -> dict[str, Any]:
        """The whole document; made once, since routes do not change."""
        if self._made is None:
            document = super().schema()
            schemas = document["components"]["schemas"]
            schemas |= _schemas(ProblemDetails)
            for operations in document["paths"].values():
                for operation in operations.values():
                    _name_models(operation, schemas)
            self._made = {**document, "paths": dict(document["paths"])}
        return self._made


def _resource(path: str) -> str:
    """What a path is about: its first word that is no tenant's id."""
    parts = path.removeprefix("/v1/").split("/")
    return parts[2] if parts[0] == "tenants" and len(parts) > 2 else parts[0]


def _complete(operation: dict[str, Any], method: str, func: Callable[..., Any]) -> None:
    operation["parameters"] = [*operation["parameters"]]
    if method == "post":
        operation["parameters"].append(_idempotency_key())
    _media_types(operation, func)
    responses = operation["responses"] = {str(status): said for status, said in operation["responses"].items()}
    for status, (media_type, what) in getattr(func, PRODUCES, {}).items():
        content = {media_type: {"schema": {"type": "string", "format": "binary"}}} if media_type else None
        responses[str(status)] = {"description": what} | ({"content": content} if content else {})
    responses["default"] = {
        "description": "Problem details (RFC 9457)",
        "content": {CONTENT_TYPE: {"schema": {"$ref": REF.format(model="ProblemDetails")}}},
    }


def _media_types(operation: dict[str, Any], func: Callable[..., Any]) -> None:
    """Bodies that are not plain JSON: None keeps the model's schema, anything else stands in its place."""
    types: dict[str, dict[str, Any] | None] | None = getattr(func, CONSUMES, None)
    if types is None:
        return
    described = operation.get("requestBody", {}).get("content", {}).get(JSON, {})
    content = {name: described if schema is None else {"schema": schema} for name, schema in types.items()}
    operation["requestBody"] = {"content": content, "required": True}


def _name_models(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Each model once, under its name, and not again wherever it is taken or given."""
    described = [operation.get("requestBody", {}), *operation["responses"].values()]
    for content in (media for part in described for media in part.get("content", {}).values()):
        schema = content.get("schema", {})
        if schema.get("type") == "object" and (name := schema.get("title")):
            schemas[name] = schema
            content["schema"] = {"$ref": REF.format(model=name)}


def _idempotency_key() -> dict[str, Any]:
    return {
        "name": HEADER,
        "in": "header",
        "description": "Do it once however often it is sent: the answer is kept for a day.",
        "schema": {"type": "string", "pattern": rf"^[!-~]([ -~]{{0,{LONGEST - 2}}}[!-~])?$"},
    }


def _schemas(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema(ref_template=REF, mode="serialization")
    return {**schema.pop("$defs", {}), model.__name__: schema}
