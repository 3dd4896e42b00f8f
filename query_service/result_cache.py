"""Answers kept in memory: keyed by all that they depend on, so that none is ever stale."""

from __future__ import annotations

import hashlib
import json
import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

# Names of DataFusion's functions that are not functions of their arguments alone; a test compares
# this with the engine's own list. EXPLAIN shows timings and plans, so it is not kept either.
VOLATILE = (
    "current_date", "current_time", "current_timestamp", "explain", "file_row_index",
    "input_file_name", "localtime", "localtimestamp",
    "now", "rand", "random", "today", "uuid", "uuidv7",
)  # fmt: skip
_VOLATILE = re.compile(rf"\b({'|'.join(VOLATILE)})\b", re.IGNORECASE)
_PLAIN_TOKEN = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\s+|[^\s'"]+""")
_encode = json.JSONEncoder(sort_keys=True).encode
_HARD_TO_READ = ("--", "/*", "$$", "\\", "`")


@dataclass(frozen=True)
class Entry:
    """One kept answer: the encoder's bytes, and what headers and envelope say of it."""

    release_id: str
    data: bytes
    tables: tuple[str, ...]
    row_count: int
    truncated: bool
    columns: tuple[str, ...] = ()


def normalise(sql: str) -> str:
    """Return the statement with runs of white space as one space, and no closing semicolon.

    Comments, backslashes and dollar quotes are left as they are: two spellings of such a
    statement are two statements, which is never wrong.
    """
    text = sql.strip()
    if any(mark in text for mark in _HARD_TO_READ):
        return text
    parts = [" " if token.isspace() else token for token in _PLAIN_TOKEN.findall(text)]
    return "".join(parts).rstrip("; ")


def is_volatile(sql: str) -> bool:
    """Whether the same statement on the same snapshot may answer differently.

    It looks for names anywhere in the text, so it errs towards yes.
    """
    return bool(_VOLATILE.search(sql))


def identity_of(
    sql: str, parameters: list[Any] | dict[str, Any] | None, row_limit: int | None
) -> str:
    """Return a text that differs whenever the answers to two requests may."""
    identity = _encode([normalise(sql), parameters or None, row_limit])
    return hashlib.sha256(identity.encode()).hexdigest()


def key_of(
    release_id: str, identity: str, encoding: str, *, string_views: bool, rights: str = ""
) -> str:
    """Return a key that differs whenever the answer's bytes may.

    Args:
        release_id: The snapshot.
        identity: That of the request (:func:`identity_of`).
        encoding: The format.
        string_views: Whether Arrow's view types are sent.
        rights: The digest of what the caller may see.
    """
    return f"{release_id} {encoding} {int(string_views)} {rights} {identity}"


class ResultCache:
    """Keeps the answers asked for last, up to a number of bytes.

    A key holds the release's id, so a swap makes no entry wrong; entries of releases that are
    gone are dropped to free their memory.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self.bytes = 0
        self.hits = 0
        self.misses = 0

    def __contains__(self, key: str) -> bool:
        """Whether there is an entry; asking counts neither as a hit nor as a miss."""
        return key in self._entries

    def get(self, key: str) -> Entry | None:
        """Return an entry, or None."""
        entry = self._entries.get(key)
        if entry is None:
            self.misses += 1
            return None
        self.hits += 1
        self._entries.move_to_end(key)
        return entry

    def put(self, key: str, entry: Entry) -> None:
        """Keep an entry, and drop those used longest ago to make room."""
        if len(entry.data) > self._most_bytes // 8:
            return
        self._drop(key)
        self._entries[key] = entry
        self.bytes += len(entry.data)
        while self.bytes > self._most_bytes:
            self._drop(next(iter(self._entries)))

    def keep_only(self, release_ids: set[str]) -> None:
        """Drop the entries of all other releases."""
        for key in [k for k, e in self._entries.items() if e.release_id not in release_ids]:
            self._drop(key)

    def _drop(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry:
            self.bytes -= len(entry.data)
