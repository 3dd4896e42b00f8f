"""The one error tree of Lavra.

Every failure a person or a client can see is one of these. Errors of other libraries are
translated where that library is called, once, and never travel further::

    LavraError                      internal               500
    ├── ConfigurationError          invalid_configuration  500   a declaration is wrong
    ├── CatalogError                catalog_error          503   the catalog refused
    │   └── CatalogUnavailable      catalog_unavailable    503   ... or is away (retryable)
    ├── StorageError                storage_error          503   the storage failed
    ├── IngestError                 ingest_error           500   nothing landed
    │   ├── SourceError             source_error           500   the source misbehaves
    │   ├── AirbyteError            airbyte_error          502   Airbyte's server refused
    │   └── ContractError           contract_error         500   Bronze is malformed
    ├── ReleaseError                release_error          500   no such release, or no way
    │   └── StalePlanError          stale_plan             500   plan again (retryable)
    ├── AccessError             access_error           500   a key or an access rule is wrong
    ├── DashboardError              dashboard_error        500   YAML is wrong
    ├── ProcessError                process_error          500   a program failed
    └── QueryError                  (abstract)
        ├── InvalidSql              invalid_sql            400
        ├── Unauthenticated         unauthenticated        401
        ├── StatementNotAllowed     statement_not_allowed  403
        ├── Forbidden               forbidden              403
        ├── UnknownTable            unknown_table          404
        ├── UnknownSnapshot         unknown_snapshot       404
        ├── UnknownEnvironment      unknown_environment    404
        ├── InvalidRequest          invalid_request        422
        ├── TooManyQueries          too_many_queries       429   (retryable)
        ├── QueryCancelled          query_cancelled        499
        ├── NotReady                not_ready              503   (retryable)
        ├── QueryTimeout            query_timeout          504
        └── ResourcesExhausted      resources_exhausted    507
"""

from __future__ import annotations

from typing import ClassVar


class LavraError(Exception):
    """Base of every error that Lavra raises on purpose.

    Args:
        message: What is wrong, in words for the person who sees it.
        remedy: What to do about it; printed after the message by the command line.

    Class attributes:
        code: Stable identifier, the ``code`` of an HTTP error body.
        status: HTTP status that the query service answers with.
        retryable: Whether the same call may succeed later without any change.
    """

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}" if self.remedy else self.message


class ConfigurationError(LavraError):
    """A setting, ``lavra.toml`` or a declaration in YAML is wrong."""

    code = "invalid_configuration"


class CatalogError(LavraError):
    """The catalog database refused a statement."""

    code = "catalog_error"
    status = 503


class CatalogUnavailable(CatalogError):
    """The catalog database cannot be reached or started."""

    code = "catalog_unavailable"
    retryable = True


class StorageError(LavraError):
    """The lake's storage failed."""

    code = "storage_error"
    status = 503


class IngestError(LavraError):
    """A source could not be landed in Bronze."""

    code = "ingest_error"


class SourceError(IngestError):
    """The source cannot be reached, or what it says cannot be understood."""

    code = "source_error"


class AirbyteError(IngestError):
    """A real Airbyte server cannot be reached, or refused a call."""

    code = "airbyte_error"
    status = 502


class ContractError(IngestError):
    """Files in Bronze break the Bronze contract."""

    code = "contract_error"


class ReleaseError(LavraError):
    """A release cannot be made, found or restored."""

    code = "release_error"


class StalePlanError(ReleaseError):
    """The lake changed between the computing of this plan and its turn to write."""

    code = "stale_plan"
    retryable = True


class AccessError(LavraError):
    """A key cannot be made or changed, or what ``access/`` declares is wrong."""

    code = "access_error"


class DashboardError(LavraError):
    """A dashboard's YAML is wrong, or Superset refused it."""

    code = "dashboard_error"


class ProcessError(LavraError):
    """A program that Lavra started failed, or its port is taken."""

    code = "process_error"


class QueryError(LavraError):
    """Base of what the query service answers to a caller; never raised itself."""


class InvalidSql(QueryError):
    """The SQL does not parse or plan."""

    code = "invalid_sql"
    status = 400


class Unauthenticated(QueryError):
    """The caller did not say who it is, or could not prove it."""

    code = "unauthenticated"
    status = 401


class StatementNotAllowed(QueryError):
    """The statement is not a read, or is more than one statement."""

    code = "statement_not_allowed"
    status = 403


class Forbidden(QueryError):
    """The caller may not do this."""

    code = "forbidden"
    status = 403


class UnknownTable(QueryError):
    """The table does not exist, or the caller may not know that it does."""

    code = "unknown_table"
    status = 404


class UnknownSnapshot(QueryError):
    """The named release does not exist or is no longer retained."""

    code = "unknown_snapshot"
    status = 404


class UnknownEnvironment(QueryError):
    """The named environment has no release."""

    code = "unknown_environment"
    status = 404


class InvalidRequest(QueryError):
    """The request body or a parameter does not have the contract's form."""

    code = "invalid_request"
    status = 422


class TooManyQueries(QueryError):
    """The service is at its limit, or the client showed too many wrong keys."""

    code = "too_many_queries"
    status = 429
    retryable = True


class QueryCancelled(QueryError):
    """The query was cancelled, by the caller or by its disconnection."""

    code = "query_cancelled"
    status = 499


class NotReady(QueryError):
    """No snapshot is loaded yet."""

    code = "not_ready"
    status = 503
    retryable = True


class QueryTimeout(QueryError):
    """The query ran past its time limit."""

    code = "query_timeout"
    status = 504


class ResourcesExhausted(QueryError):
    """The query needed more memory than it may use."""

    code = "resources_exhausted"
    status = 507
