"""What the service allows itself, and what it answers with."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from query_service.cache.cold import ColdRule
from query_service.formats import MEDIA_TYPES


@dataclass(frozen=True)
class Limits:
    """What the service allows itself."""

    running: int
    waiting: int
    timeout_s: float
    result_cache_bytes: int
    cold: ColdRule = field(default_factory=ColdRule)


@dataclass
class Answer:
    """The answer to one query.

    Attributes:
        query_id: Its id.
        encoding: The format.
        headers: Those of the contract.
        body: All bytes, if the answer was short.
        stream: The bytes as they come, if it was not; it raises when the query fails midway, and
            closing it ends the query.
    """

    query_id: str
    encoding: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    stream: AsyncGenerator[bytes, None] | None = None

    @property
    def media_type(self) -> str:
        """The format's media type."""
        return MEDIA_TYPES[self.encoding]
