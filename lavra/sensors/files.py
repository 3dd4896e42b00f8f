"""What files a connection has, found out in steps that are bounded."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from lavra.landing.connections import FILES
from lavra.landing.references import resolve, unset
from lavra.landing.source_files import SourceFile, open_folder

if TYPE_CHECKING:
    from lavra.landing.connections import Connection
    from lavra.settings import Settings

FILES_A_LOOK = 10_000
"""Files of a connection that one look lists: ten pages of a bucket, a second or so. The next look
goes on from there."""


@dataclass(frozen=True)
class Listing:
    """All files of a connection, as they were listed.

    Attributes:
        fingerprint: Of their names and versions.
        newest: When the newest of them was written; None if there are none.
    """

    fingerprint: str
    newest: dt.datetime | None


@dataclass
class _Begun:
    connection: Connection
    files: Iterator[SourceFile]
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    newest: dt.datetime | None = None


class FileSensor:
    """Lists the files of connections, some at a time; what was begun is kept between looks."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._begun: dict[str, _Begun] = {}

    def look(self, connection: Connection) -> Listing | None:
        """Go on listing a connection's files; return the listing once it is at its end.

        Returns:
            None too for a connection that reads no files, or whose references are not set.

        Raises:
            SourceError: its bucket cannot be listed; the next look begins anew.
        """
        config = connection.source.config
        if connection.source.connector not in FILES or not config or unset(config):
            return None
        begun = self._begun.pop(connection.name, None)
        if begun is None or begun.connection != connection:
            begun = _Begun(connection, _files(self._settings, connection))
        count = 0
        for file in islice(begun.files, FILES_A_LOOK):
            count += 1
            begun.digest.update(f"{file.name}\0{file.version}\n".encode())
            begun.newest = max(begun.newest or file.changed_at, file.changed_at)
        if count == FILES_A_LOOK:
            self._begun[connection.name] = begun
            return None
        return Listing(begun.digest.hexdigest(), begun.newest)


def _files(settings: Settings, connection: Connection) -> Iterator[SourceFile]:
    folder = open_folder(settings, str(resolve(connection.source.config).get("root", "")))
    for stream in connection.streams:
        yield from folder.entries(stream.path or "")
