"""What a client may ask, checked before anything runs."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from lavra.errors import InvalidRequest
from query_service.formats import MEDIA_TYPES
from query_service.releases import DEFAULT_ENVIRONMENT

MAX_SQL_BYTES = 1_000_000


def _snapshot(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class SqlRequest(BaseModel):
    """The body of ``POST /v1/sql``."""

    model_config = ConfigDict(extra="forbid", strict=True)

    sql: str = Field(
        min_length=1,
        max_length=MAX_SQL_BYTES,
        description="One statement that reads.",
        examples=["select order_date, net_revenue from gold_commerce.daily_revenue"],
    )
    parameters: list[Any] | dict[str, Any] | None = Field(
        default=None, description="Values of $1, $2, ... (a list) or of $name (an object)."
    )
    environment: str = Field(
        default=DEFAULT_ENVIRONMENT,
        pattern=r"^[A-Za-z0-9_]{1,63}$",
        description="The SQLMesh environment.",
    )
    snapshot: Annotated[str | None, BeforeValidator(_snapshot)] = Field(
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


class Accepted(BaseModel):
    """The answer's format."""

    encoding: str
    string_views: bool = False


_BY_MEDIA_TYPE = {media.split(";")[0]: name for name, media in MEDIA_TYPES.items()}
_WILDCARDS = {"*/*": "json", "application/*": "json", "text/*": "csv"}


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
