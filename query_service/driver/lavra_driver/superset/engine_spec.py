"""Superset's engine spec for the query service (engine name ``lavra``)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sqlalchemy import types
from superset.constants import TimeGrain
from superset.db_engine_specs.base import BaseEngineSpec
from superset.db_engine_specs.exceptions import (
    SupersetDBAPIDatabaseError,
    SupersetDBAPIDataError,
    SupersetDBAPIOperationalError,
    SupersetDBAPIProgrammingError,
)
from superset.errors import SupersetErrorType
from superset.utils.core import GenericDataType

import lavra_driver

if TYPE_CHECKING:
    from datetime import datetime


_EPOCH = "TIMESTAMP '1970-01-01T00:00:00'"


def _bin(step: str) -> str:
    return f"date_bin(INTERVAL '{step}', CAST({{col}} AS TIMESTAMP), {_EPOCH})"


def _trunc(unit: str) -> str:
    return f"date_trunc('{unit}', {{col}})"


def _week(days_back: int, days_on: int) -> str:
    """A week that begins ``days_back`` days before Monday, shown by its day ``days_on``."""
    moved = "CAST({col} AS TIMESTAMP)"
    if days_back:
        moved = f"{moved} + INTERVAL '{days_back} days'"
    shown = days_on - days_back
    week = f"date_trunc('week', {moved})"
    if not shown:
        return week
    return f"{week} {'+' if shown > 0 else '-'} INTERVAL '{abs(shown)} days'"


class LavraEngineSpec(BaseEngineSpec):
    """Lavra's query service: DataFusion's SQL, read-only, one released snapshot a query."""

    engine = "lavra"
    engine_name = "Lavra"
    default_driver = "http"
    sqlalchemy_uri_placeholder = "lavra://:key@host:8080/prod"

    allows_joins = True
    allows_subqueries = True
    allows_alias_in_select = True
    allows_alias_in_orderby = True
    allows_sql_comments = True
    allows_hidden_cc_in_orderby = True
    allows_cte_in_subquery = True
    supports_file_upload = False
    max_column_name_length = 255
    arraysize = 10_000

    _time_grain_expressions = {
        None: "{col}",
        TimeGrain.SECOND: _trunc("second"),
        TimeGrain.FIVE_SECONDS: _bin("5 seconds"),
        TimeGrain.THIRTY_SECONDS: _bin("30 seconds"),
        TimeGrain.MINUTE: _trunc("minute"),
        TimeGrain.FIVE_MINUTES: _bin("5 minutes"),
        TimeGrain.TEN_MINUTES: _bin("10 minutes"),
        TimeGrain.FIFTEEN_MINUTES: _bin("15 minutes"),
        TimeGrain.THIRTY_MINUTES: _bin("30 minutes"),
        TimeGrain.HALF_HOUR: _bin("30 minutes"),
        TimeGrain.HOUR: _trunc("hour"),
        TimeGrain.SIX_HOURS: _bin("6 hours"),
        TimeGrain.DAY: _trunc("day"),
        TimeGrain.WEEK: _trunc("week"),
        TimeGrain.WEEK_STARTING_SUNDAY: _week(1, 0),
        TimeGrain.WEEK_STARTING_MONDAY: _trunc("week"),
        TimeGrain.WEEK_ENDING_SATURDAY: _week(1, 6),
        TimeGrain.WEEK_ENDING_SUNDAY: _week(0, 6),
        TimeGrain.MONTH: _trunc("month"),
        TimeGrain.QUARTER: _trunc("quarter"),
        TimeGrain.QUARTER_YEAR: _trunc("quarter"),
        TimeGrain.YEAR: _trunc("year"),
    }

    column_type_mappings = (
        (re.compile(r"^tinyint", re.IGNORECASE), types.SmallInteger(), GenericDataType.NUMERIC),
        (re.compile(r"^binary", re.IGNORECASE), types.LargeBinary(), GenericDataType.STRING),
        (re.compile(r"^interval", re.IGNORECASE), types.Interval(), GenericDataType.STRING),
        (re.compile(r"^(array|struct|map)", re.IGNORECASE), types.String(), GenericDataType.STRING),
        (re.compile(r"^null$", re.IGNORECASE), types.String(), GenericDataType.STRING),
    )

    # Each error starts with the service's own code, so nothing depends on its wording.
    custom_errors = {
        re.compile(r"unknown_table: (?P<message>.*)", re.DOTALL): (
            "%(message)s",
            SupersetErrorType.TABLE_DOES_NOT_EXIST_ERROR,
            {},
        ),
        re.compile(
            r"invalid_sql: (?P<message>.*(No field named|column).*)", re.DOTALL | re.IGNORECASE
        ): (
            "%(message)s",
            SupersetErrorType.COLUMN_DOES_NOT_EXIST_ERROR,
            {},
        ),
        re.compile(r"invalid_sql: (?P<message>.*)", re.DOTALL): (
            "%(message)s",
            SupersetErrorType.SYNTAX_ERROR,
            {},
        ),
        re.compile(r"statement_not_allowed: (?P<message>.*)", re.DOTALL): (
            "%(message)s",
            SupersetErrorType.DML_NOT_ALLOWED_ERROR,
            {},
        ),
        re.compile(r"unauthenticated: (?P<message>.*)", re.DOTALL): (
            "%(message)s",
            SupersetErrorType.CONNECTION_ACCESS_DENIED_ERROR,
            {"invalid": ["password"]},
        ),
        re.compile(r"forbidden: (?P<message>.*)", re.DOTALL): (
            "%(message)s",
            SupersetErrorType.CONNECTION_DATABASE_PERMISSIONS_ERROR,
            {},
        ),
        re.compile(r"unknown_environment: (?P<message>.*)", re.DOTALL): (
            "%(message)s",
            SupersetErrorType.CONNECTION_UNKNOWN_DATABASE_ERROR,
            {"invalid": ["database"]},
        ),
        re.compile(r"query_timeout: (?P<message>.*)", re.DOTALL): (
            "%(message)s",
            SupersetErrorType.BACKEND_TIMEOUT_ERROR,
            {},
        ),
        re.compile(r"cannot reach (?P<message>.*)", re.DOTALL): (
            "Cannot reach %(message)s",
            SupersetErrorType.CONNECTION_HOST_DOWN_ERROR,
            {"invalid": ["host", "port"]},
        ),
    }

    @classmethod
    def get_dbapi_exception_mapping(cls) -> dict[type[Exception], type[Exception]]:
        """Return Superset's exception for each of the driver's."""
        return {
            lavra_driver.ProgrammingError: SupersetDBAPIProgrammingError,
            lavra_driver.NotSupportedError: SupersetDBAPIProgrammingError,
            lavra_driver.OperationalError: SupersetDBAPIOperationalError,
            lavra_driver.DataError: SupersetDBAPIDataError,
            lavra_driver.InternalError: SupersetDBAPIDatabaseError,
        }

    @classmethod
    def convert_dttm(
        cls,
        target_type: str,
        dttm: datetime,
        db_extra: dict[str, Any] | None = None,
    ) -> str | None:
        """Write a date or a time as a literal of the column's type."""
        kind = cls.get_sqla_column_type(target_type)
        if isinstance(kind, types.Date):
            return f"DATE '{dttm.date().isoformat()}'"
        if isinstance(kind, types.DateTime):
            return f"TIMESTAMP '{dttm.isoformat(sep=' ', timespec='microseconds')}'"
        return None

    @classmethod
    def epoch_to_dttm(cls) -> str:
        """Turn seconds since the epoch into a timestamp."""
        return "to_timestamp_seconds({col})"

    @classmethod
    def epoch_ms_to_dttm(cls) -> str:
        """Turn milliseconds since the epoch into a timestamp."""
        return "to_timestamp_millis({col})"

    @classmethod
    def get_datatype(cls, type_code: Any) -> str | None:
        """Return the type's name, which is what the driver's description holds already."""
        return str(type_code) if type_code else None

    @classmethod
    def get_cancel_query_id(cls, cursor: Any, query: Any) -> str | None:
        """Return the id that the statement will have at the service."""
        found: str = cursor.reserve_query_id()
        return found

    @classmethod
    def cancel_query(cls, cursor: Any, query: Any, cancel_query_id: str) -> bool:
        """Stop the statement at the service."""
        stopped: bool = cursor.connection.cancel(cancel_query_id)
        return stopped
