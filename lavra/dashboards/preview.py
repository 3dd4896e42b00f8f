"""The dashboards over a SQLMesh environment, in Superset beside production's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lavra.catalog import open_catalog
from lavra.dashboards import superset
from lavra.dashboards.form import load_assets
from lavra.dashboards.gold import gold_of_release
from lavra.dashboards.identity import dashboard_slug
from lavra.errors import DashboardError
from lavra.releases.store import PRODUCTION, current_release

if TYPE_CHECKING:
    from lavra.catalog import Catalog
    from lavra.dashboards.environment import SupersetEnvironment
    from lavra.environments import Report
    from lavra.settings import Settings


def show(
    settings: Settings,
    shown: str,
    environment: SupersetEnvironment | None = None,
    catalog: Catalog | None = None,
    *,
    report: Report | None = None,
) -> tuple[superset.Outcome, list[str]]:
    """Import this project's dashboards over an environment's current release.

    They are objects of their own, with names that say which environment they show. Retry: the
    same again changes nothing; after a change of the files or of the tables it is brought up to
    date. When the environment goes away, its charts say so, until they are removed.

    Returns:
        What was done, and the addresses of the dashboards below Superset's own.

    Raises:
        DashboardError: the environment is production or has no release, or the dashboards do not
            fit its tables.
        ProcessError: Superset's process failed.
    """
    _refuse_production(shown)
    catalog = catalog or open_catalog(settings)
    with catalog.connect() as connection:
        release = current_release(connection, shown)
    if release is None:
        raise DashboardError(
            f"The environment {shown} has no release, so there is nothing to show.",
            remedy=f"`sqlmesh -p sqlmesh_project plan {shown}` makes it.",
        )
    outcome = superset.bootstrap(
        settings, environment, catalog, gold=gold_of_release(release), shown=shown, report=report
    )
    assets, _ = load_assets(settings.project, settings.domains_left_out)
    slugs = (dashboard_slug(slug, shown) for slug in assets.dashboards)
    return outcome, [f"/superset/dashboard/{slug}/" for slug in slugs]


def remove(
    settings: Settings,
    shown: str,
    environment: SupersetEnvironment | None = None,
    catalog: Catalog | None = None,
) -> superset.Outcome:
    """Remove a preview, and nothing else.

    Raises:
        DashboardError: the environment is production, or there is no preview of it.
        ProcessError: Superset's process failed.
    """
    _refuse_production(shown)
    outcome = superset.remove_dashboards(settings, shown, environment, catalog)
    if not outcome.pruned:
        raise DashboardError(f"There is no preview of {shown}.")
    return outcome


def _refuse_production(shown: str) -> None:
    if shown == PRODUCTION:
        raise DashboardError(
            f"{PRODUCTION} is no preview.", remedy="`lavra dashboards import` shows it."
        )
