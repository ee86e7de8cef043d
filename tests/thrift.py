"""What the suite does once where each test would do it again."""

import functools
import gc
import os
import ssl

import httpx
import pytest

_default_context = httpx.create_ssl_context


def apply(patch: pytest.MonkeyPatch) -> None:
    """Until ``patch`` is undone."""
    for place in (httpx, httpx._transports.default):
        patch.setattr(place, "create_ssl_context", _context)


def collect_garbage_less_often() -> None:
    """It took a tenth of the time. pytest's own collection at the end finds what tests left, whenever these come."""
    gc.set_threshold(50_000, 20, 20)


def forget_what_stays() -> None:
    """Let the collector pass over what has been imported: no test makes garbage of that."""
    gc.freeze()


def _context(verify: ssl.SSLContext | str | bool = True, cert: None = None, trust_env: bool = True) -> ssl.SSLContext:
    if verify is True and cert is None:
        return _with_roots(trust_env, os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
    return _default_context(verify, cert, trust_env)


@functools.cache
def _with_roots(trust_env: bool, *_: str | None) -> ssl.SSLContext:
    """Reading the certificate roots takes 20 ms, and every gateway and client of a test would."""
    return _default_context(True, None, trust_env)
