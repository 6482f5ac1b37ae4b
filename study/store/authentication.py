"""Authentication: whether this user wrote what lies in a results folder; what came from elsewhere is not believed.

A message has the code HMAC-SHA-256 (RFC 2104) under a secret that this user's cache keeps.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from pathlib import Path

from study.files import replacing
from study.paths import cache_directory
from study.store.reading import Corrupt, content

SECRET = "index.key"


def code(key: bytes, *parts: bytes) -> bytes:
    """The code of a message, in hexadecimal.

    key: the :func:`secret`.
    parts: of the message, of which none but the last has a zero byte.
    """
    return hmac.new(key, b"\0".join(parts), hashlib.sha256).hexdigest().encode()


def place(path: Path) -> bytes:
    """The name of a place, as part of a message that is believed there alone.

    path: of the place.
    """
    return os.fsencode(path.resolve())


def secret() -> bytes:
    """Thirty-two bytes that this user's cache keeps, made where there are none; empty where none can be kept."""
    path = cache_directory() / SECRET
    with suppress(Corrupt):
        if len(kept := content(path)) == 32:
            return kept
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as aside:
            aside.write_bytes(secrets.token_bytes(32))
        path.chmod(0o600)
        return content(path)
    return b""
