"""What the service logs: as text for people, or as one JSON object per line for machines."""

from __future__ import annotations

import datetime as dt
import json
import logging
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lavra.settings import Settings
    from query_service.queries import QueryRecord

logger = logging.getLogger("query_service")

_FIELDS = "fields"
"""Attribute of a log record that holds what JSON shows besides the message."""


class JsonFormatter(logging.Formatter):
    """One object per line: ``time``, ``level``, ``logger``, ``message``, and more fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line, without its line feed."""
        moment = dt.datetime.fromtimestamp(record.created, dt.UTC)
        line: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        query_id = getattr(record, "query_id", None)
        if query_id:
            line["query_id"] = query_id
        line |= getattr(record, _FIELDS, {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def configure_logging(settings: Settings) -> None:
    """Log to standard error, in the form and from the level that the settings say."""
    handler = logging.StreamHandler(sys.stderr)
    if settings.log_format == "json":
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(
            logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
        )  # fmt: skip
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler])
    logging.getLogger("uvicorn.access").addFilter(hide_query_string)


def hide_query_string(record: logging.LogRecord) -> bool:
    """Cut the query string out of uvicorn's access log: it holds SQL and parameters."""
    args = record.args
    if isinstance(args, tuple) and len(args) == 5:  # client, method, path, version, status
        record.args = (*args[:2], str(args[2]).partition("?")[0], *args[3:])
    return True


def log_query(record: QueryRecord, *, show_sql: bool) -> None:
    """Log how a query ended; its SQL only if ``show_sql``, its parameters never."""
    if not logger.isEnabledFor(logging.INFO):
        return
    milliseconds = round((record.elapsed_s or 0) * 1000, 3)
    fields = {
        "query_id": record.query_id,
        "caller": record.caller.identity,
        "environment": record.environment,
        "snapshot": record.snapshot,
        "tables": list(record.tables),
        "format": record.encoding,
        "rows": record.row_count,
        "bytes": record.bytes_out,
        "ms": milliseconds,
        "stages": record.stage_ms(),
        "cached": record.cached,
        "outcome": record.state,
        "code": record.error,
    }
    if show_sql:
        fields["sql"] = record.sql
    logger.info(
        "query %s %s: %.1f ms, %s rows, release %s%s",
        record.query_id, record.error or record.state, milliseconds, record.row_count,
        record.snapshot, f": {record.sql}" if show_sql else "", extra={_FIELDS: fields},
    )  # fmt: skip
