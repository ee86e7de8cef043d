"""Environment -> frozen ``Settings``, read once. Secrets are masked; unknown ``FRONTDESK_`` names are refused.

A ``.env`` file in the working directory is honoured; real environment variables win over it.
"""

import os
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import AnyUrl, BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from engine.errors import ConfigurationError

PREFIX = "FRONTDESK_"
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class Settings(BaseSettings):
    """All that a process is told from outside. Field ``x_y`` is the variable ``FRONTDESK_X_Y``."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", frozen=True, extra="ignore", env_ignore_empty=True
    )

    bind: str = "127.0.0.1:8080"
    public_url: str = "http://127.0.0.1:8080"
    data_dir: Path = Path(".frontdesk")
    log_level: str = "INFO"
    log_format: Literal["auto", "json", "console"] = "auto"  # auto: for people at a terminal, JSON elsewhere
    otlp_url: AnyUrl | None = None  # None: no traces, and nothing of OpenTelemetry is imported
    max_calls: Annotated[int, Field(gt=0, le=10_000)] = 250
    max_memory_mib: Annotated[int, Field(ge=64)] | None = None
    drain_s: Annotated[float, Field(ge=0)] = 600.0
    ops_bind: str | None = None
    backoffice_bind: str = "127.0.0.1:8081"
    gateways: str = ""  # URLs of their ops pages, with commas between
    backoffice_requests_per_minute: Annotated[int, Field(ge=1)] = 1200
    price_book: Path | None = None  # None: nothing costs anything
    biller_url: AnyUrl | None = None  # None: nobody is told of closed months but tenants themselves
    biller_secret: SecretStr | None = None
    biller_allow_private: bool = False
    worker_id: str = "worker-0"  # told by the supervisor to each of its workers

    twilio_account_sid: str | None = None
    twilio_auth_token: SecretStr | None = None
    twilio_api_url: AnyUrl = AnyUrl("https://api.twilio.com")
    gemini_api_key: SecretStr | None = None
    gemini_url: AnyUrl = AnyUrl("wss://generativelanguage.googleapis.com")
    gemini_backup_url: AnyUrl | None = None
    gemini_model: str = "gemini-3.8-live"
    gemini_input_hz: Annotated[Literal[8000, 16000], BeforeValidator(int)] = 8000
    gemini_connection_s: Annotated[float, Field(ge=70)] = 600.0
    gemini_transcribe_model: str = "gemini-3.5-transcribe-live"
    gemini_transcribe_url: AnyUrl | None = None
    openai_api_key: SecretStr | None = None
    openai_url: AnyUrl = AnyUrl("wss://api.openai.com/v1/realtime")
    openai_model: str = "gpt-realtime-2.1"
    openai_transcribe_model: str = "gpt-live-transcribe"
    openai_connection_s: Annotated[float, Field(ge=70)] = 3600.0
    elevenlabs_api_key: SecretStr | None = None
    elevenlabs_url: AnyUrl = AnyUrl("wss://api.elevenlabs.io")
    local_model: bool = True
    local_processes: Annotated[int, Field(ge=1, le=64)] = 1
    local_calls: Annotated[int, Field(ge=1)] | None = None  # None: as many as were measured to fit the processes
    gemini_embed_url: AnyUrl | None = None
    embeddings: Literal["auto", "offline"] = "auto"
    secret_key: SecretStr | None = None

    tools_allow_private: bool = False
    # Tenant id -> name -> secret, as JSON: what tenant documents name in a tool's ``endpoint.auth.secret``.
    tool_secrets: dict[str, dict[str, SecretStr]] = Field(default_factory=dict)

    # Read by later parts of the product; known here so that a full environment is never refused.
    database_url: SecretStr | None = None
    admin_token: SecretStr | None = None

    @field_validator("bind", "ops_bind", "backoffice_bind")
    @classmethod
    def _bind_has_a_port(cls, value: str | None) -> str | None:
        if value is None:
            return None
        host, _, port = value.rpartition(":")
        if not host or not port.isdigit() or not 0 <= int(port) <= 65535:
            raise ValueError("write it as host:port, for example 127.0.0.1:8080")
        return value

    @field_validator("log_level")
    @classmethod
    def _log_level_is_known(cls, value: str) -> str:
        if value.upper() not in LOG_LEVELS:
            raise ValueError(f"write one of {', '.join(LOG_LEVELS)}")
        return value.upper()

    @field_validator("gemini_url", "gemini_backup_url", "gemini_transcribe_url", "openai_url", "elevenlabs_url")
    @classmethod
    def _model_url_is_a_websocket(cls, value: AnyUrl | None) -> AnyUrl | None:
        if value is not None and value.scheme not in {"ws", "wss"}:
            raise ValueError("write a websocket's address, for example wss://generativelanguage.googleapis.com")
        return value

    @field_validator("otlp_url")
    @classmethod
    def _otlp_is_over_http(cls, value: AnyUrl | None) -> AnyUrl | None:
        if value is not None and value.scheme not in {"http", "https"}:
            raise ValueError("write a collector's address for OTLP over HTTP, for example http://127.0.0.1:4318")
        return value

    @field_validator("gateways")
    @classmethod
    def _gateways_are_origins(cls, value: str) -> str:
        for url in filter(None, (part.strip() for part in value.split(","))):
            parts = urlsplit(url)
            if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path.rstrip("/") or parts.query:
                raise ValueError("write the gateways' ops addresses, for example http://127.0.0.1:9100")
        return value

    @field_validator("public_url")
    @classmethod
    def _public_url_is_an_origin(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path.rstrip("/") or parts.query:
            raise ValueError("write the origin that the carrier calls, for example https://voice.example.com")
        return value.rstrip("/")

    @property
    def gateway_urls(self) -> tuple[str, ...]:
        """Where the back office finds the gateways' ops pages."""
        return tuple(part.strip().rstrip("/") for part in self.gateways.split(",") if part.strip())

    @property
    def stream_url(self) -> str:
        """The websocket URL told to the carrier in TwiML; also what it signs on the handshake."""
        parts = urlsplit(self.public_url)
        return f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}/twilio/media"

    @classmethod
    def read(cls) -> Self:
        """Read the environment and ``.env`` once.

        Raises:
            ConfigurationError: an unknown name with our prefix, or a value that cannot be used; all of them at once.
        """
        named = {name.upper() for name in (*os.environ, *dotenv_values(".env")) if name.upper().startswith(PREFIX)}
        known = {PREFIX + field.upper() for field in cls.model_fields}
        if unknown := sorted(named - known):
            cure = f"correct the name or unset it; known are {', '.join(sorted(known))}"
            raise ConfigurationError(f"unknown setting {', '.join(unknown)}: {cure}")
        try:
            return cls()
        except SettingsError as error:
            raise ConfigurationError(f"a setting is not JSON ({error}); write an object, in quotes") from None
        except ValidationError as error:
            said = "; ".join(
                f"{PREFIX}{str(e['loc'][0]).upper()}: {e['msg'].removeprefix('Value error, ')}" for e in error.errors()
            )
            raise ConfigurationError(said) from None
