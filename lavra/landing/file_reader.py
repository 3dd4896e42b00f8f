"""A source of files, read in full; what differs by format is in its subclasses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from lavra.errors import ConfigurationError, SourceError
from lavra.landing.connections import Stream
from lavra.landing.reading import StreamRead
from lavra.landing.source_files import SourceFolder
from lavra.landing.types import LandedType


class FileReader(ABC):
    """The files of a folder, of one format.

    Args:
        folder: Where they are; a stream's ``path`` is a file or glob below it.
    """

    def __init__(self, folder: SourceFolder | Path) -> None:
        self._folder = SourceFolder(folder) if isinstance(folder, Path) else folder

    @abstractmethod
    def parsed(self, stream: Stream, files: list[Path]) -> AbstractContextManager[StreamRead]:
        """Begin to read files of this machine.

        Raises:
            SourceError: a file is malformed.
            ConfigurationError: the stream names a column that does not exist.
        """

    @contextmanager
    def read(self, stream: Stream, state: dict[str, Any] | None) -> Iterator[StreamRead]:
        """Begin to read a stream's files; see :class:`lavra.landing.reading.SourceReader`.

        A stream that is overwritten by each run is not read again while its files and its
        declaration are the same, so that the models that read it have nothing to do either.
        """
        files = self._folder.matching(stream)
        next_state = None
        if stream.sync_mode == "full_refresh_overwrite":
            next_state = {"digest": self._folder.digest(stream, files)}
            if state == next_state:
                yield StreamRead({}, iter(()), next_state, is_unchanged=True)
                return
        with self._folder.on_disk(files) as paths, self.parsed(stream, paths) as read:
            read.next_state = next_state
            yield read


def selected(stream: Stream, kinds: dict[str, LandedType]) -> dict[str, LandedType]:
    """Return the columns that a stream selects.

    Raises:
        ConfigurationError: it names one that does not exist.
        SourceError: two differ by case only.
    """
    wanted = set(kinds if stream.selected_fields is None else stream.selected_fields)
    if unknown := sorted((wanted | set(stream.types)) - set(kinds)):
        raise ConfigurationError(
            f"Stream {stream.name} has no column {', '.join(unknown)}.",
            remedy=f"Its columns are {', '.join(kinds)}.",
        )
    kept = {name: kind for name, kind in kinds.items() if name in wanted}
    seen: dict[str, str] = {}
    for name in kept:
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise SourceError(
                f"Stream {stream.name} has the columns {other} and {name}, which are one in SQL.",
                remedy="Leave one of them out with the stream's `selected_fields`.",
            )
    return kept
