"""JSON lines on standard error; call and tenant bound once per call by context variable.

Nothing on the media plane logs per frame. Values that could hold a caller's words are logged by length only.
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
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(out),  # one write per line: several workers may share a stream
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=max(number, logging.WARNING), stream=out, force=True)


def get_logger(name: str) -> Logger:
    """A logger that names its room; cheap, made once per module."""
    logger: Logger = structlog.get_logger(room=name)
    return logger


def bind_call(**names: Any) -> None:
    """Add names (``call_sid=…, tenant_id=…``) to every line logged by this task and its children."""
    structlog.contextvars.bind_contextvars(**names)
