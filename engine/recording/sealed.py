"""A recording as it lies on the disk: sealed in chunks, so that it can be written while the call is on. PURE.

    MAGIC salt(16)  { length(4, big endian) AES-GCM(chunk) } ...

The key is made by HKDF from the operator's secret, the tenant's id and the file's own salt; chunks are numbered by
their nonce, and tenant, call and part are authenticated with each. So a chunk cannot be read elsewhere than where it
was written: not in another place of the file, of another call, by another tenant's name. The last chunk says that it is
the last; a file without one belongs to a call that is on, or to a process that died, and is good as far as it goes.
"""

import os
from collections.abc import Iterator
from typing import BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAGIC: Final = b"frontdesk recording 1\n"
SALT: Final = 16
TAG: Final = 16
LENGTH: Final = 4
LARGEST_CHUNK: Final = 1 << 20


class Damaged(Exception):
    """It is not what was written there: cut up, changed, or sealed with another secret."""


class Sealer:
    """Makes the bytes of one file, in order: ``head``, then chunks, then the one of ``last``."""

    def __init__(self, secret: bytes, tenant_id: str, name: str) -> None:
        salt = os.urandom(SALT)
        self.head = MAGIC + salt
        self._cipher = AESGCM(_key(secret, tenant_id, salt))
        self._about = f"{tenant_id}/{name}".encode()
        self._number = 0

    def seal(self, chunk: bytes, *, last: bool = False) -> bytes:
        """The next chunk; the last one may be empty."""
        sealed = self._cipher.encrypt(_nonce(self._number), chunk, self._about + _mark(last=last))
        self._number += 1
        return len(sealed).to_bytes(LENGTH) + sealed


def unseal(file: BinaryIO, secret: bytes, tenant_id: str, name: str) -> Iterator[bytes]:
    """The chunks of a file, one after the other, each checked before it is given.

    Raises:
        Damaged: what has come until then is good.
    """
    head = file.read(len(MAGIC) + SALT)
    if len(head) != len(MAGIC) + SALT or not head.startswith(MAGIC):
        raise Damaged("not a recording of this version")
    cipher = AESGCM(_key(secret, tenant_id, head[len(MAGIC) :]))
    about = f"{tenant_id}/{name}".encode()
    number, over = 0, False
    while (length := file.read(LENGTH)) and not over:
        size = int.from_bytes(length)
        if len(length) < LENGTH:
            return  # it was being written when its process died
        if not TAG <= size <= LARGEST_CHUNK:
            raise Damaged("a chunk's length is out of bounds")
        sealed = file.read(size)
        if len(sealed) != size:
            return  # as above
        chunk, over = _open(cipher, sealed, number, about)
        number += 1
        if chunk:
            yield chunk
    if over and length:
        raise Damaged("something follows the end")


def _open(cipher: AESGCM, sealed: bytes, number: int, about: bytes) -> tuple[bytes, bool]:
    for last in (False, True):
        try:
            return cipher.decrypt(_nonce(number), sealed, about + _mark(last=last)), last
        except InvalidTag:
            continue
    raise Damaged("a chunk was changed, or sealed with another secret")


def _key(secret: bytes, tenant_id: str, salt: bytes) -> bytes:
    return HKDF(SHA256(), length=32, salt=salt, info=b"frontdesk recording " + tenant_id.encode()).derive(secret)


def _nonce(number: int) -> bytes:
    return number.to_bytes(12)


def _mark(*, last: bool) -> bytes:
    return b" last" if last else b" more"
