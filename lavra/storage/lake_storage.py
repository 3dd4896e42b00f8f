"""The lake's files behind one interface, for ``file://`` and ``gs://`` alike.

Endpoints and credentials are stated once, in the settings; each ``to_<library>()`` translates
them. Files are immutable: they appear whole under their final name, or not at all.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO

import pyarrow.fs as pafs

from lavra.errors import ConfigurationError, StorageError

if TYPE_CHECKING:
    import duckdb
    from fsspec import AbstractFileSystem

    from lavra.settings import Settings

TEMPORARY_PREFIX = "_tmp-"


@dataclass(frozen=True)
class StoredFile:
    """One file of the lake: its path below the lake's root and its size in bytes."""

    path: str
    size: int


class LakeStorage:
    """The files below the lake's URL.

    Paths given to and returned from its methods are relative to the lake's root, with ``/``.

    Concurrency: any number of processes may read and publish. A crash while publishing leaves
    at most a temporary file (local storage), which :meth:`list_files` never shows.
    """

    def __init__(self, url: str, fsspec_options: dict[str, Any]) -> None:
        self.url = url.rstrip("/")
        self.scheme, _, rest = self.url.partition("://")
        self._fsspec_options = fsspec_options
        self.root = rest if self.scheme == "gs" else str(Path(rest))

    def __reduce__(self) -> tuple[type[LakeStorage], tuple[str, dict[str, Any]]]:
        """Let another process open the same storage: connections are its own."""
        return LakeStorage, (self.url, self._fsspec_options)

    def __repr__(self) -> str:
        return f"LakeStorage({self.url!r})"

    @property
    def is_local(self) -> bool:
        """Whether the files are on this machine's disk."""
        return self.scheme == "file"

    def to_fsspec(self) -> AbstractFileSystem:
        """Return the file system as fsspec knows it; paths start with :attr:`root`."""
        return self._fsspec

    def to_pyarrow(self) -> pafs.FileSystem:
        """Return the file system as PyArrow knows it; paths start with :attr:`root`."""
        if self.is_local:
            return pafs.LocalFileSystem()
        return pafs.PyFileSystem(pafs.FSSpecHandler(self._fsspec))

    def to_duckdb(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Teach a DuckDB connection to read and write this storage's URLs."""
        if not self.is_local:
            connection.register_filesystem(self._fsspec)

    def to_datafusion(self, folder: Path) -> dict[str, str]:
        """Return the bucket and the credentials file with which DataFusion reads this storage.

        DataFusion's own client reads an emulator's address only from a credentials file, which
        is written to ``folder``; a real bucket needs none, or the one that the settings name.
        """
        if self.is_local:
            return {}
        bucket = self.root.split("/", 1)[0]
        endpoint = self._fsspec_options.get("endpoint_url")
        credentials = self._fsspec_options.get("token", "")
        if endpoint:
            file = folder / "emulator.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            document = {"gcs_base_url": endpoint, "disable_oauth": True} | dict.fromkeys(
                ("client_email", "private_key", "private_key_id"), ""
            )
            file.write_text(json.dumps(document))
            credentials = str(file)
        return {"bucket": bucket, "bucket_credentials": credentials}

    def full_path(self, *parts: str) -> str:
        """Return the path of a file as fsspec and PyArrow take it."""
        return "/".join((self.root, *parts))

    def url_of(self, *parts: str) -> str:
        """Return the URL of a file as DuckDB takes it (a plain path for local files)."""
        return self.full_path(*parts) if self.is_local else "/".join((self.url, *parts))

    def list_files(self, prefix: str = "") -> list[StoredFile]:
        """List the published files below ``prefix``, sorted by path; none if it does not exist."""
        base = self.full_path(prefix) if prefix else self.root
        try:
            self._fsspec.invalidate_cache()
            found = self._fsspec.find(base, detail=True)
        except FileNotFoundError:
            return []
        except Exception as error:
            raise StorageError(f"Cannot list {self.url}/{prefix}: {error}") from error
        files = [
            StoredFile(path=str(PurePosixPath(path).relative_to(self.root)), size=int(info["size"]))
            for path, info in found.items()
            if not PurePosixPath(path).name.startswith(TEMPORARY_PREFIX)
        ]
        return sorted(files, key=lambda file: file.path)

    def exists(self, path: str) -> bool:
        """Whether a published file has this path."""
        self._fsspec.invalidate_cache()
        return bool(self._fsspec.isfile(self.full_path(path)))

    @contextmanager
    def open_input(self, path: str) -> Iterator[BinaryIO]:
        """Open a published file for reading.

        Raises:
            StorageError: it does not exist or cannot be read.
        """
        try:
            stream = self._fsspec.open(self.full_path(path), "rb")
        except FileNotFoundError as error:
            raise StorageError(f"There is no {self.url}/{path}.") from error
        with stream:
            yield stream

    @contextmanager
    def publish(self, path: str) -> Iterator[BinaryIO]:
        """Write a new file that appears at ``path``, durable and whole, when the block ends.

        If the block raises, or the process dies, nothing appears. Publishing to a path that
        exists replaces the file in one step.
        """
        if self.is_local:
            with self._publish_local(Path(self.full_path(path))) as stream:
                yield stream
        else:
            with self._publish_object(self.full_path(path)) as stream:
                yield stream

    def copy(self, source: str, target: str) -> None:
        """Copy a published file; in a bucket the service does it, and no byte passes through here.

        Raises:
            StorageError: the source does not exist, or cannot be copied.
        """
        if self.is_local:
            with self.open_input(source) as read, self.publish(target) as written:
                shutil.copyfileobj(read, written, 8 * 1024 * 1024)
            return
        try:
            self._fsspec.cp_file(self.full_path(source), self.full_path(target))
        except FileNotFoundError as error:
            raise StorageError(f"There is no {self.url}/{source}.") from error
        except Exception as error:
            raise StorageError(f"Cannot copy {self.url}/{source}: {error}") from error

    def delete(self, paths: list[str]) -> None:
        """Delete files; one that is already gone is no error."""
        for path in paths:
            try:
                self._fsspec.rm_file(self.full_path(path))
            except FileNotFoundError:
                continue
            except Exception as error:
                raise StorageError(f"Cannot delete {self.url}/{path}: {error}") from error

    @contextmanager
    def _publish_local(self, target: Path) -> Iterator[BinaryIO]:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}")
        try:
            with temporary.open("wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(target)
            _sync_folder(target.parent)
        finally:
            temporary.unlink(missing_ok=True)

    @contextmanager
    def _publish_object(self, target: str) -> Iterator[BinaryIO]:
        # gcsfs finalises a half-written object when its file is closed by an exception, so the
        # bytes are complete on local disk before the upload, which the service makes atomic.
        with tempfile.TemporaryFile(prefix="lavra-") as stream:
            yield stream
            stream.flush()
            stream.seek(0)
            try:
                with self._fsspec.open(target, "wb") as upload:
                    shutil.copyfileobj(stream, upload, 8 * 1024 * 1024)
            except Exception as error:
                raise StorageError(f"Cannot write gs://{target}: {error}") from error

    @cached_property
    def _fsspec(self) -> AbstractFileSystem:
        if self.is_local:
            from fsspec.implementations.local import LocalFileSystem  # noqa: PLC0415

            return LocalFileSystem(auto_mkdir=True)
        import gcsfs  # noqa: PLC0415 - half a second that local lakes need not pay

        return gcsfs.GCSFileSystem(**self._fsspec_options)


def open_storage(settings: Settings) -> LakeStorage:
    """Return the storage that the settings name.

    Raises:
        ConfigurationError: the URL names no bucket or a relative path.
    """
    url = settings.resolved_lake_url
    scheme, _, rest = url.partition("://")
    if scheme == "gs":
        if not rest.split("/", 1)[0]:
            raise ConfigurationError(
                f"LAVRA_LAKE_URL {url!r} names no bucket.", remedy="Use gs://bucket/prefix."
            )
        return LakeStorage(url, _gcsfs_options(settings))
    if not rest.startswith("/"):
        raise ConfigurationError(
            f"LAVRA_LAKE_URL {url!r} is a relative path.",
            remedy="Use three slashes and an absolute path: file:///data/lake.",
        )
    return LakeStorage(url, {})


def bucket_storage(settings: Settings, url: str) -> LakeStorage:
    """Return the storage of another bucket than the lake's, with the lake's credentials."""
    return LakeStorage(url, _gcsfs_options(settings))


def _gcsfs_options(settings: Settings) -> dict[str, Any]:
    # gcsfs probes a gRPC endpoint for hierarchical namespaces: 60 s of silence with an emulator.
    os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    options: dict[str, Any] = {"use_listings_cache": False}
    if settings.storage_emulator_host:
        host = settings.storage_emulator_host
        options |= {
            "endpoint_url": host if host.startswith("http") else f"http://{host}",
            "token": "anon",
        }
    elif settings.google_application_credentials:
        options["token"] = str(settings.google_application_credentials)
    return options


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
