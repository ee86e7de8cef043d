"""JSON lines on standard error; call and tenant bound once per call by context variable.

Nothing on the media plane logs per frame. Values that could hold a caller's words are logged by length only. What
libraries say through the standard library, from warnings on, becomes a line of the same form.
"""

import logging
import sys
from typing import Any, TextIO

import structlog

Logger = structlog.typing.FilteringBoundLogger


def configure(level: str = "INFO", *, pretty: bool = False, stream: TextIO | None = None) -> None:
    """Set the process's logging up; ``pretty`` is for a person at a terminal, JSON lines for everything else."""
    out = stream or sys.stderr
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=out.isatty()) if pretty else structlog.processors.JSONRenderer()
    )
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(out),  # one write per line: several workers may share a stream
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _room_of_library],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[handler], force=True)


def for_people(log_format: str, stream: TextIO | None = None) -> bool:
    """What ``configure`` is to be told as ``pretty`` for a ``FRONTDESK_LOG_FORMAT``."""
    return log_format == "console" or (log_format == "auto" and (stream or sys.stderr).isatty())


def get_logger(name: str) -> Logger:
    """A logger that names its room; cheap, made once per module."""
    logger: Logger = structlog.get_logger(room=name)
    return logger


def bind_call(**names: Any) -> None:
    """Add names (``call_sid=…, tenant_id=…``) to every line logged by this task and its children."""
    structlog.contextvars.bind_contextvars(**names)


def _room_of_library(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    event["room"] = event["_record"].name
    return event
