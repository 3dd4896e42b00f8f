"""Who asks: what authentication proved, and all that access rules may decide by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lavra.errors import Forbidden

ADMIN_ROLE = "admin"
"""The role that may see and cancel the queries of others and read the metrics."""

METRICS_ROLE = "metrics"
"""The role that may read the metrics, and is good for nothing else by itself."""

Kind = Literal["key", "token", "superset", "loopback"]


@dataclass(frozen=True)
class Caller:
    """Who makes a request. Only authentication makes one; a request cannot say what it is.

    Attributes:
        name: The subject: a key's name, a token's user, Superset's user, or ``loopback``. What
            logs, fairness and quotas go by.
        kind: How it was proven.
        roles: The roles that the credential itself carries: a key's, those of a token's claim, or
            ``superset:<role>`` for each role in Superset; rules may know more of the name.
        claims: A token's claims, or what Superset signed; empty for the other kinds. Equality
            counts them, the hash does not.
        key_id: The id of the API key that was used, also when Superset's key spoke for a user.
        environments: The environments that the credential is limited to; None is no limit.
    """

    name: str
    kind: Kind
    roles: frozenset[str] = frozenset()
    claims: Mapping[str, Any] = field(default_factory=dict, hash=False, repr=False)
    key_id: str | None = None
    environments: frozenset[str] | None = None

    @property
    def is_admin(self) -> bool:
        """Whether it may see and end what others do."""
        return ADMIN_ROLE in self.roles

    @property
    def identity(self) -> str:
        """The one text that tells it from every other caller: ``kind:name``.

        A key named like a user of a token is not that user.
        """
        return f"{self.kind}:{self.name}"

    def may_use(self, environment: str) -> bool:
        """Whether its credential reaches an environment."""
        return self.environments is None or environment in self.environments

    def require(self, environment: str) -> None:
        """Refuse an environment that its credential does not reach, whether that exists or not.

        Raises:
            Forbidden: it is not for this caller.
        """
        if not self.may_use(environment):
            raise Forbidden(f"This key does not reach the environment {environment!r}.")


LOOPBACK = Caller("loopback", "loopback", frozenset({ADMIN_ROLE}))
"""Whoever runs programs on this machine, where a setting lets them ask without a key."""
