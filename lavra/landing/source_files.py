"""The files of a source: below a folder of this machine, or below a prefix of a bucket."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fsspec.utils import glob_translate

from lavra.errors import ConfigurationError, SourceError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

    from lavra.landing.connections import Stream
    from lavra.settings import Settings

PAGE_SIZE = 1000
"""Objects asked for at once; Cloud Storage gives no more."""


@dataclass(frozen=True)
class SourceFile:
    """One file as a listing shows it.

    Attributes:
        name: Its path.
        version: Differs once its content may differ.
        changed_at: When it was last written; aware.
    """

    name: str
    version: str
    changed_at: dt.datetime


class SourceFolder:
    """Where a source's files are.

    Args:
        root: A folder, or what follows ``gs://``.
        bucket: The bucket's file system; None for a folder of this machine.
    """

    def __init__(self, root: Path, bucket: AbstractFileSystem | None = None) -> None:
        self._root, self._bucket = root, bucket

    def matching(self, stream: Stream) -> list[str]:
        """Return the stream's files, sorted, as paths below the root.

        Raises:
            ConfigurationError: the stream's path is absolute.
            SourceError: there are none, or the bucket cannot be listed.
        """
        pattern = stream.path or ""
        if Path(pattern).is_absolute():
            raise ConfigurationError(
                f"Stream {stream.name}: the path {pattern} is absolute.",
                remedy="Give a path below the source's `root`.",
            )
        if self._bucket is None:
            found = [path for path in self._root.glob(pattern) if path.is_file()]
        else:
            found = [Path(path) for path in self._listed(pattern)]
        if not found:
            raise SourceError(
                f"Stream {stream.name}: no file is called {pattern} in {self._shown}.",
                remedy="Correct the stream's `path` or the source's `root`.",
            )
        return sorted(str(path.relative_to(self._root)) for path in found)

    def entries(self, pattern: str) -> Iterator[SourceFile]:
        """Yield the files of a path or glob as they are listed, of a bucket page by page.

        Nothing is held but the page: a bucket may have a million objects.

        Raises:
            SourceError: the bucket cannot be listed.
        """
        if Path(pattern).is_absolute():
            return  # a landing says what is wrong with it
        if self._bucket is not None:
            yield from self._pages(self._bucket, str(self._root / pattern))
            return
        for path in sorted(self._root.glob(pattern)):
            try:
                status = path.stat()
            except FileNotFoundError:  # gone since it was listed
                continue
            changed_at = dt.datetime.fromtimestamp(status.st_mtime_ns / 1e9, dt.UTC)
            yield SourceFile(str(path), f"{status.st_size}\0{status.st_mtime_ns}", changed_at)

    def digest(self, stream: Stream, files: list[str]) -> str:
        """Return a digest of all that decides what a stream lands: its declaration, its files.

        A bucket vouches for its objects by their checksums; files here are read.
        """
        digest = hashlib.sha256(stream.model_dump_json().encode())
        for name in files:
            digest.update(f"\0{Path(name).name}\0".encode())
            if self._bucket is not None:
                digest.update(_version(self._bucket.info(str(self._root / name))).encode())
                continue
            with (self._root / name).open("rb") as content:
                while part := content.read(1024 * 1024):
                    digest.update(part)
        return digest.hexdigest()

    @contextmanager
    def on_disk(self, files: list[str]) -> Iterator[list[Path]]:
        """Give files of this machine, fetched from the bucket for the while if need be.

        Raises:
            SourceError: the bucket cannot be read.
        """
        if self._bucket is None:
            yield [self._root / name for name in files]
            return
        with tempfile.TemporaryDirectory(prefix="lavra-files-") as folder:
            copies = [Path(folder) / name for name in files]
            try:
                for name, copy in zip(files, copies, strict=True):
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    self._bucket.get_file(str(self._root / name), str(copy))
            except Exception as error:
                raise SourceError(f"{self._shown} cannot be read: {error}") from error
            yield copies

    @property
    def _shown(self) -> str:
        return str(self._root) if self._bucket is None else f"gs://{self._root}"

    def _pages(self, bucket: AbstractFileSystem, pattern: str) -> Iterator[SourceFile]:
        name, _, rest = pattern.partition("/")
        matches = re.compile(glob_translate(rest)).match
        asked: dict[str, Any] = {
            "prefix": re.split(r"[*?\[]", rest, maxsplit=1)[0], "maxResults": PAGE_SIZE,
            "fields": "items(name,size,generation,updated),nextPageToken",
        }  # fmt: skip
        while True:
            try:
                page = bucket.call("GET", "b/{}/o", name, json_out=True, **asked)
            except Exception as error:
                raise self._unlisted(error) from error
            for item in page.get("items") or ():
                if matches(item["name"]) and not item["name"].endswith("/"):
                    version = f"{item.get('size')}\0{item.get('generation')}"
                    updated = dt.datetime.fromisoformat(item["updated"])
                    changed_at = updated if updated.tzinfo else updated.replace(tzinfo=dt.UTC)
                    yield SourceFile(item["name"], version, changed_at)
            if not page.get("nextPageToken"):
                return
            asked["pageToken"] = page["nextPageToken"]

    def _unlisted(self, error: Exception) -> SourceError:
        return SourceError(
            f"{self._shown} cannot be listed: {error}",
            remedy="Check the bucket's name, and that this machine may read it.",
        )

    def _listed(self, pattern: str) -> list[str]:
        assert self._bucket is not None  # noqa: S101 - for mypy: asked by the caller
        try:
            self._bucket.invalidate_cache()
            return [str(path) for path in self._bucket.glob(str(self._root / pattern))]
        except Exception as error:
            raise self._unlisted(error) from error


def open_folder(settings: Settings, root: str) -> SourceFolder:
    """Return a source's folder: ``gs://bucket/prefix``, absolute, or below the project."""
    if root.startswith("gs://"):
        from lavra.storage.lake_storage import bucket_storage  # noqa: PLC0415

        storage = bucket_storage(settings, root)
        return SourceFolder(Path(storage.root), storage.to_fsspec())
    folder = Path(root).expanduser()
    return SourceFolder(folder if folder.is_absolute() else settings.project / folder)


def _version(info: dict[str, Any]) -> str:
    named = ("size", "md5Hash", "crc32c", "generation", "etag")
    return json.dumps({key: str(info.get(key)) for key in named})
