"""Superset's error types for the service's error codes."""

from __future__ import annotations

import re

from superset.errors import SupersetErrorType

# Each error starts with the service's own code, so nothing depends on its wording.
CUSTOM_ERRORS = {
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
