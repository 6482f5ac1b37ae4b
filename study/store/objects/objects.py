"""Objects beneath a URL, by their names there, in whatever way fsspec reaches them.

Credentials are those that the protocol's own package finds, in the environment or its files: a URL that carries some is
refused. Whatever fails is one of the errors of :mod:`study.errors`, and names the URL.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import fsspec

from study.errors import ConfigurationError, EnvironmentFault, StudyError
from study.files import printable
from study.store.reading import Corrupt

BLOCK = 2**22
"""Bytes that are taken from an object at a time: 4 MiB."""


class Object(NamedTuple):
    """An object as a listing has it.

    size: number of its bytes.
    mark: what changes when the object does; the store's checksum or time of change goes into it.
    """

    size: int
    mark: str


@dataclass(frozen=True)
class Objects:
    """The objects beneath a URL.

    url: without a slash at its end.
    files: the file system of its protocol.
    root: the place that the file system knows the URL by.
    """

    url: str
    files: Any
    root: str

    @classmethod
    def at(cls, url: str) -> Objects:
        """The objects beneath ``url``.

        Raises ConfigurationError where there is no such protocol or the URL carries credentials, and EnvironmentFault
        where its package is not installed.
        """
        if "://" not in url.rstrip("/"):
            raise ConfigurationError(f"expected a URL with a bucket, such as s3://bucket/results; got {printable(url)}")
        url = url.rstrip("/")
        protocol = url.partition("://")[0].lower()
        if "@" in urlsplit(url).netloc and ":" in urlsplit(url).netloc.rpartition("@")[0]:
            raise ConfigurationError(
                f"expected a URL without credentials; got a {protocol}:// one that has some: put them into the "
                "environment or the files that its package reads"
            )
        options = {"auto_mkdir": True} if protocol in ("file", "local") else {}
        with _asking(url):
            files, root = fsspec.core.url_to_fs(url, use_listings_cache=False, **options)
        return cls(url, files, root.rstrip("/"))

    def below(self, name: str) -> Objects:
        """The objects beneath the URL with ``name`` at its end."""
        return Objects(f"{self.url}/{name}", self.files, f"{self.root}/{name}")

    def above(self) -> Objects:
        """The objects beneath the URL without its last step."""
        return Objects(self.url.rpartition("/")[0], self.files, self.root.rpartition("/")[0])

    @property
    def name(self) -> str:
        """The last step of the URL."""
        return self.url.rpartition("/")[2]

    def folders(self) -> list[str]:
        """First steps of the names of objects that have several, sorted; none where there are no objects."""
        with _asking(self.url):
            try:
                entries = self.files.ls(self.root, detail=True)
            except FileNotFoundError:
                return []
        steps = (entry["name"].rstrip("/").removeprefix(self.root).strip("/") for entry in entries)
        return sorted({step for step, entry in zip(steps, entries, strict=True) if step and _is_folder(entry)})

    def listing(self) -> dict[str, Object]:
        """Every object by its name."""
        with _asking(self.url):
            found = self.files.find(self.root, detail=True)
        return {path.removeprefix(f"{self.root}/"): _object(entry) for path, entry in found.items()}

    def look(self, name: str) -> Object | None:
        """The object ``name``; None where there is none."""
        with _asking(self.url):
            try:
                return _object(self.files.info(f"{self.root}/{name}"))
            except FileNotFoundError:
                return None

    def blocks(self, name: str, size: int, limit: int) -> Iterator[bytes]:
        """The bytes of an object, some at a time; raises Corrupt where it is absent, or is not as long as it is listed.

        name: of the object.
        size: number of its bytes, as listed.
        limit: of them that are read.
        """
        short, total = name.rpartition("/")[2], 0
        if size > limit:
            raise Corrupt(f"{short} has {size:,} bytes, more than the {limit:,} that are read")
        while total < size:
            wanted = min(BLOCK, size - total)
            with _asking(self.url):
                try:
                    block = self.files.cat_file(f"{self.root}/{name}", start=total, end=total + wanted)
                except FileNotFoundError as error:
                    raise Corrupt(f"{short} is absent") from error
            if len(block) != wanted:
                raise Corrupt(f"{short} has another number of bytes than it is listed with")
            total += wanted
            yield block

    def upload(self, path: Path, name: str) -> None:
        """Writes the file at ``path`` to the object ``name``."""
        with _asking(self.url):
            self.files.put_file(str(path), f"{self.root}/{name}")

    def create(self, name: str, data: bytes) -> bool:
        """Writes an object where there is none, and says whether it did.

        name: of the object.
        data: its bytes.
        """
        with _asking(self.url):
            try:
                self.files.pipe_file(f"{self.root}/{name}", data, mode="create")
            except FileExistsError:
                return False
        return True


def _is_folder(entry: dict[str, Any]) -> bool:
    return entry["type"] == "directory"


def _object(entry: dict[str, Any]) -> Object:
    said = repr(sorted((name, str(value)) for name, value in entry.items() if value is not None))
    return Object(int(entry["size"] or 0), hashlib.sha256(said.encode()).hexdigest()[:16])


@contextmanager
def _asking(url: str) -> Iterator[None]:
    """Turns whatever the file system of ``url`` raises into one sentence with its exit code."""
    place = printable(url)
    try:
        yield
    except (StudyError, Corrupt):
        raise
    except ImportError as error:
        what = " ".join(str(error).split())
        raise EnvironmentFault(
            f"{place} needs a package that is not installed ({what}); `pip install latent-study[objects]` brings "
            "that of s3://, and gcsfs is that of gs://"
        ) from error
    except FileNotFoundError as error:
        raise ConfigurationError(f"cannot find {place}: {_text(error)}; the bucket must exist") from error
    except PermissionError as error:
        raise EnvironmentFault(
            f"{place} denies access: {_text(error)}; credentials are those that fsspec finds in the environment and "
            "its configuration files"
        ) from error
    except ValueError as error:
        raise ConfigurationError(f"cannot use {place}: {_text(error)}") from error
    except Exception as error:
        raise EnvironmentFault(
            f"cannot reach {place}: {_text(error)}; with network and credentials in order, the same command tries again"
        ) from error


def _text(error: Exception) -> str:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(reason.split())[:300]
