"""``/docs``: the API's pages, with Swagger UI's files from our own origin. That edition of it reads OpenAPI 3.0."""

from pathlib import Path
from typing import Any

import swagger_ui_bundle  # type: ignore[import-untyped]  # says nothing about its one name
from quart import Blueprint, Response, current_app, send_from_directory

from engine.backoffice.office import Office
from engine.backoffice.openapi_30 import in_30

ABOUT = (
    "Tenants, what they know, their calls and what is left to do after them. The operator sends the token of "
    "FRONTDESK_ADMIN_TOKEN, a tenant one of its keys; both as a bearer's token."
)
FOLDER = Path(str(swagger_ui_bundle.swagger_ui_path))
FILES = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")
POLICY = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'"

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Frontdesk API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="icon" href="/docs/favicon-32x32.png">
</head>
<body>
<main id="pages"></main>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
START = """SwaggerUIBundle({
  url: "/docs/openapi-3.0.json", dom_id: "#pages", deepLinking: true, persistAuthorization: false,
  presets: [SwaggerUIBundle.presets.apis],
});
"""


def blueprint(_: Office) -> Blueprint:
    """The pages; nobody has to say who they are to read them."""
    pages = Blueprint("docs", __name__, url_prefix="/docs")

    @pages.get("")
    async def page() -> Response:
        return Response(PAGE, content_type="text/html; charset=utf-8", headers={"content-security-policy": POLICY})

    @pages.get("/start.js")
    async def start() -> Response:
        return Response(START, content_type="text/javascript; charset=utf-8")

    @pages.get("/openapi-3.0.json")
    async def document() -> dict[str, Any]:
        return in_30(current_app.extensions["QUART_SCHEMA"].openapi_provider.schema())

    @pages.get(f"/<any({', '.join(repr(name) for name in FILES)}):name>")
    async def file(name: str) -> Response:
        return await send_from_directory(FOLDER, name, cache_timeout=3600)

    return pages
