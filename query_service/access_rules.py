"""What views are made by: the policy, the secret of its masks, and room for the copies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from query_service.cache.restricted import HashKey
from query_service.policy_source import PolicySource

if TYPE_CHECKING:
    from lavra.catalog import Catalog
    from lavra.settings import Settings
    from lavra.storage import LakeStorage


@dataclass(frozen=True)
class AccessRules:
    """The policy, the secret of its mask ``hash``, and what the copies may take together."""

    source: PolicySource
    key: HashKey
    most_bytes: int
    storage: LakeStorage | None = None


def open_access(settings: Settings, catalog: Catalog, storage: LakeStorage) -> AccessRules:
    """Return the access rules of a lake.

    Raises:
        ConfigurationError: the policy is wrong.
        CatalogError: the catalog does not answer.
    """
    with catalog.connect() as connection:
        row = connection.execute("select secret from lavra.mask_key").fetchone()
    assert row is not None  # noqa: S101 - the migration puts it there
    return AccessRules(
        PolicySource(settings.project),
        HashKey(bytes(row[0])),
        settings.service_restricted_mb * 1024 * 1024,
        storage,
    )
