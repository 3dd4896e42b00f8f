"""DataFusion's messages, translated once into the error tree."""

from __future__ import annotations

import re

from lavra import errors
from lavra.errors import LavraError

_PREFIXES = re.compile(
    r"^(DataFusion error: |Error during planning: |Execution error: |SQL error: |"
    r"Optimizer rule '[^']*' failed\s*caused by\s*|Arrow error: |"
    r"This feature is not implemented: |type_coercion\s*caused by\s*)+"
)
_UNKNOWN_TABLE = re.compile(r"table '(?:lake\.)?(?P<name>[^']*)' not found")
_REFUSED = re.compile(
    r"^(DDL|DML|Statement) not supported|only supports a single SQL statement"
    r"|SHOW \[VARIABLE\] is not supported|is not supported unless information_schema is enabled"
)
_NO_VALUE = re.compile(r"[Pp]laceholder '?(?P<name>\$\w+)'?.*(not provided|[Nn]o value)")

# Of a function like sum DataFusion calls it an internal error.
_NO_SUCH_FUNCTION = re.compile(
    r"No function matches the given name and argument types '(?P<call>[^']*)'"
)


def translate(error: BaseException) -> LavraError:  # noqa: PLR0911 - one per kind of error
    """Return the error that a caller sees for one that DataFusion or Arrow raised."""
    if isinstance(error, LavraError):
        return error
    if isinstance(error, MemoryError):
        return errors.ResourcesExhausted("The query needed more memory than there is.")
    message = _PREFIXES.sub("", str(error)).strip()
    if "Resources exhausted" in message:
        return errors.ResourcesExhausted(
            "The query needed more memory than one query may use.",
            remedy="Filter or aggregate earlier, or join fewer rows.",
        )
    unknown = _UNKNOWN_TABLE.search(message)
    if unknown:
        name = unknown["name"].removeprefix("unnamed.")
        return errors.UnknownTable(
            f"There is no table {name}.", remedy="GET /v1/tables lists the tables."
        )
    if _REFUSED.search(message):
        return errors.StatementNotAllowed(
            "Only one statement that reads is allowed: SELECT, WITH, VALUES, EXPLAIN, DESCRIBE, "
            "SHOW TABLES, SHOW SCHEMAS or SHOW COLUMNS."
        )
    missing = _NO_VALUE.search(message)
    if missing:
        return errors.InvalidRequest(f"The parameter {missing['name']} has no value.")
    call = _NO_SUCH_FUNCTION.search(message)
    if call:
        return errors.InvalidSql(
            f"No function takes these types: {call['call']}.", remedy="Cast what it is given."
        )
    if "Internal error" in message or (isinstance(error, BaseException) and _panicked(error)):
        return LavraError(f"The engine failed: {_first_lines(message)}")
    return errors.InvalidSql(_first_lines(_unwrapped(message)))


def _panicked(error: BaseException) -> bool:
    return type(error).__name__ == "PanicException"


def _unwrapped(message: str) -> str:
    parser = re.match(r'^ParserError\("(?P<text>.*)"\)$', message, re.DOTALL)
    return parser["text"] if parser else message.replace("lake.", "")


def _first_lines(message: str) -> str:
    text = " ".join(line.strip() for line in message.splitlines()[:3] if line.strip())
    return text[:1000] or "The query failed."
