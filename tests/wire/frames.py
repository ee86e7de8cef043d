"""Frames written out by hand, so that tests can send what no codec of ours would."""


def raw_frame(
    head: int,
    payload: bytes = b"",
    *,
    mask: bytes | None = None,
    field_bytes: int | None = None,
    size: int | None = None,
) -> bytes:
    """One frame; ``field_bytes`` forces the width of the size (0, 2 or 8), ``size`` what it says."""
    said = len(payload) if size is None else size
    if field_bytes is None:
        field_bytes = 0 if said < 126 else 2 if said < 65536 else 8
    short = {0: said, 2: 126, 8: 127}[field_bytes]
    field = said.to_bytes(field_bytes, "big") if field_bytes else b""
    if mask is None:
        return bytes((head, short)) + field + payload
    masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
    return bytes((head, short | 0x80)) + field + mask + masked
