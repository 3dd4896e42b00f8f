"""What a client may ask, checked before anything runs."""

from __future__ import annotations

import json
from functools import cached_property, lru_cache
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.datastructures import QueryParams

from lavra.access import record
from lavra.errors import InvalidRequest
from query_service.formats import MEDIA_TYPES
from query_service.releases import PRODUCTION
from query_service.result_cache import identity_of, is_volatile

MAX_SQL_BYTES = 1_000_000

MEMO_BYTES = 8 * 1024
MEMO_COUNT = 1024
"""So many requests of so many bytes at most are kept ready."""


def _snapshot(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class SqlRequest(BaseModel):
    """The body of ``POST /v1/sql``."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    sql: str = Field(
        min_length=1,
        max_length=MAX_SQL_BYTES,
        description="One statement that reads.",
        json_schema_extra={"format": "sql"},
        examples=["select order_date, net_revenue from gold_commerce.daily_revenue"],
    )
    parameters: list[Any] | dict[str, Any] | None = Field(
        default=None, description="Values of $1, $2, ... (a list) or of $name (an object)."
    )
    environment: str = Field(
        default=PRODUCTION,
        pattern=r"^[A-Za-z0-9_]{1,63}$",
        description="The SQLMesh environment.",
    )
    snapshot: Annotated[
        str | None,
        BeforeValidator(
            _snapshot,
            json_schema_input_type=Annotated[str, Field(max_length=40)]
            | Annotated[int, Field(ge=0, lt=10**18)]
            | None,
        ),
    ] = Field(
        default=None,
        max_length=40,
        description="Answer from this retained release, not from the current one.",
    )
    row_limit: int | None = Field(
        default=None, ge=0, le=2**62, description="Answer at most this many rows."
    )
    timeout_s: float | None = Field(
        default=None, gt=0, le=86_400, strict=False, description="Time limit in seconds."
    )

    @cached_property
    def is_volatile(self) -> bool:
        """Whether the same request on the same snapshot may answer differently."""
        return is_volatile(self.sql) or self.names_record

    @cached_property
    def names_record(self) -> bool:
        """Whether it may read the access log, which belongs to no release; errs towards yes."""
        return record.TABLE in self.sql.casefold()

    @cached_property
    def identity(self) -> str:
        """What the answer depends on, besides the release, the format and the caller's rights."""
        return identity_of(self.sql, self.parameters, self.row_limit)


def from_body(body: bytes) -> SqlRequest:
    """Return the request that a JSON body makes.

    Dashboards ask the same again and again, so requests are kept ready by their bytes.

    Raises:
        pydantic.ValidationError: it is not one.
    """
    return _read_body_again(body) if len(body) <= MEMO_BYTES else _read_body(body)


def from_query_string(query: bytes) -> SqlRequest:
    """Return the request that a URL's query string makes; ``parameters`` is JSON.

    Raises:
        InvalidRequest: a number or the parameters cannot be read.
        pydantic.ValidationError: as for a body.
    """
    return _read_query_again(query) if len(query) <= MEMO_BYTES else _read_query(query)


def _read_body(body: bytes) -> SqlRequest:
    return SqlRequest.model_validate_json(body)


def _read_query(query: bytes) -> SqlRequest:
    if "sql" in (given := QueryParams(query)):
        raise InvalidRequest("sql: call it query in a URL.")
    fields: dict[str, Any] = {
        ("sql" if name == "query" else name): value for name, value in given.items()
    }
    try:
        if "parameters" in fields:
            fields["parameters"] = json.loads(fields["parameters"])
        if "row_limit" in fields:
            fields["row_limit"] = int(fields["row_limit"])
        if "timeout_s" in fields:
            fields["timeout_s"] = float(fields["timeout_s"])
    except ValueError as error:
        raise InvalidRequest(f"The query string cannot be read: {error}.") from error
    return SqlRequest.model_validate(fields)


_read_body_again = lru_cache(MEMO_COUNT)(_read_body)
_read_query_again = lru_cache(MEMO_COUNT)(_read_query)


class Accepted(BaseModel):
    """The answer's format."""

    model_config = ConfigDict(frozen=True)

    encoding: str
    string_views: bool = False


_BY_MEDIA_TYPE = {media.split(";")[0]: name for name, media in MEDIA_TYPES.items()}
_WILDCARDS = {"*/*": "json", "application/*": "json", "text/*": "csv"}


@lru_cache(256)
def choose_format(accept: str) -> Accepted:
    """Return the best format that an ``Accept`` header allows.

    ``application/vnd.apache.arrow.stream; string_view=true`` says that the client reads Arrow's
    view types.

    Raises:
        InvalidRequest: it allows none.
    """
    offers: list[tuple[float, int, Accepted]] = []
    for position, entry in enumerate(accept.split(",")):
        media, *options = (part.strip().lower() for part in entry.split(";"))
        settings = dict(option.partition("=")[::2] for option in options)
        encoding = _BY_MEDIA_TYPE.get(media) or _WILDCARDS.get(media)
        try:
            quality = float(settings.get("q", "1"))
        except ValueError:
            continue
        if encoding and quality > 0:
            accepted = Accepted(
                encoding=encoding, string_views=settings.get("string_view") == "true"
            )
            offers.append((-quality, position, accepted))
    if not accept.strip():
        return Accepted(encoding="json")
    if not offers:
        raise InvalidRequest(
            f"None of {accept!r} is a format of this service.",
            remedy=f"Accept one of {', '.join(_BY_MEDIA_TYPE)}.",
        )
    return min(offers, key=lambda offer: offer[:2])[2]
