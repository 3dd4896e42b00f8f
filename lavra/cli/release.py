"""`lavra release`: what readers see, and how to go back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lavra.cli.console import err, out, print_json, print_table

if TYPE_CHECKING:
    from datetime import datetime

    from lavra.releases.store import Release

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
OneEnvironment = Annotated[
    str, typer.Option("--environment", "-e", help="The SQLMesh environment.")
]


def register(app: typer.Typer) -> None:
    """Add the group to the command line."""
    group = typer.Typer(
        name="release",
        help="Releases: the audited snapshots of the lake that readers see.",
        no_args_is_help=True,
    )
    group.command("list")(list_command)
    group.command("show")(show_command)
    group.command("make")(make_command)
    group.command("rollback")(rollback_command)
    group.command("export")(export_command)
    app.add_typer(group)


def list_command(
    environment: Annotated[
        str | None, typer.Option("--environment", "-e", help="Only this environment.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 20,
    as_json: Json = False,
) -> None:
    """List releases, newest first, and say what blocks the next one."""
    from lavra.catalog import open_catalog  # noqa: PLC0415
    from lavra.releases.rule import list_blocked  # noqa: PLC0415
    from lavra.releases.store import current_release, list_releases  # noqa: PLC0415
    from lavra.settings import load_settings  # noqa: PLC0415

    with open_catalog(load_settings()).connect() as connection:
        releases = list_releases(connection, environment, limit=limit)
        blocked = list_blocked(connection, environment)
        current = {
            found.id
            for name in {release.environment for release in releases}
            if (found := current_release(connection, name))
        }
    rows = [_summary(release, is_current=release.id in current) for release in releases]
    if as_json:
        print_json(rows)
        return
    print_table(
        ("id", "environment", "made", "cause", "snapshot", "data through", "tables", "current"),
        [
            (
                row["id"], row["environment"], _time(row["made"]), row["cause"], row["snapshot"],
                _time(row["data_through"]), row["tables"], "yes" if row["current"] else "",
            )
            for row in rows
        ],
        empty="No release yet. `sqlmesh -p sqlmesh_project plan` makes the first one.",
    )  # fmt: skip
    for entry in blocked:
        err.print(
            f"[yellow]blocked:[/] {entry['environment']}: {entry['model']}: {entry['reason']}. "
            f"{entry['remedy']}",
            soft_wrap=True,
        )


def show_command(
    release_id: Annotated[
        int | None, typer.Argument(help="Its id. Default: the current one.", show_default=False)
    ] = None,
    environment: OneEnvironment = "prod",
    as_json: Json = False,
) -> None:
    """Show one release with its tables."""
    from lavra.catalog import open_catalog  # noqa: PLC0415
    from lavra.errors import ReleaseError  # noqa: PLC0415
    from lavra.releases.store import current_release, get_release  # noqa: PLC0415
    from lavra.settings import load_settings  # noqa: PLC0415

    with open_catalog(load_settings()).connect() as connection:
        release = (
            current_release(connection, environment)
            if release_id is None
            else get_release(connection, release_id)
        )
    if release is None:
        raise ReleaseError(
            f"Environment {environment} has no release.",
            remedy="`sqlmesh -p sqlmesh_project plan` makes the first one.",
        )
    if as_json:
        print_json(release.to_dict())
        return
    out.print(
        f"Release {release.id} of {release.environment}: snapshot {release.snapshot_id}, "
        f"made {_time(release.created_at)} by {_cause(release)}"
        + (f", git {release.git_commit[:12]}" if release.git_commit else "")
    )
    print_table(
        ("table", "rows", "bytes", "data through", "audits"),
        [
            (
                f"{table.schema_name}.{table.table_name}",
                table.row_count,
                table.bytes,
                _time(table.data_through),
                _audits(table.audits),
            )
            for table in release.tables
        ],
        empty="It holds no tables.",
    )


def make_command(environment: OneEnvironment = "prod", as_json: Json = False) -> None:
    """Release what SQLMesh has built, if the rule allows it.

    Plans and runs release by themselves; this repeats the attempt and says what blocks it.
    """
    from lavra.errors import ReleaseError  # noqa: PLC0415
    from lavra.modeling.commands import release_environment  # noqa: PLC0415
    from lavra.settings import load_settings  # noqa: PLC0415

    outcome = release_environment(load_settings(), environment)
    if as_json:
        print_json(
            {
                "release": outcome.release.to_dict() if outcome.release else None,
                "blocked": [vars(entry) for entry in outcome.blocked],
            }
        )
    elif outcome.release:
        out.print(f"{environment} is at release {outcome.release.id}.")
    elif not outcome.blocked:
        out.print(f"Nothing has changed in {environment} since its last release.")
    if outcome.blocked:
        reasons = "\n".join(f"- {b.model}: {b.reason}. {b.remedy}" for b in outcome.blocked)
        raise ReleaseError(f"{environment} cannot be released:\n{reasons}")


def rollback_command(
    release_id: Annotated[int, typer.Argument(help="The release to return to.")],
    environment: Annotated[
        str | None,
        typer.Option("--environment", "-e", help="Refuse a release of another environment."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show an earlier release again, until the next run or plan that changes anything."""
    from lavra.catalog import open_catalog  # noqa: PLC0415
    from lavra.releases.make import roll_back  # noqa: PLC0415
    from lavra.releases.write_lock import write_lock  # noqa: PLC0415
    from lavra.settings import load_settings  # noqa: PLC0415

    catalog = open_catalog(load_settings())
    with write_lock(catalog, "lavra release rollback", say=err.print) as session:
        release = roll_back(session, release_id, environment)
    if as_json:
        print_json(release.to_dict())
        return
    out.print(
        f"{release.environment} shows the data of release {release_id} again, "
        f"as release {release.id}."
    )


def export_command(environment: OneEnvironment = "prod", as_json: Json = False) -> None:
    """Write the current release as plain Parquet, for BigQuery; only what no access rule is about.

    What has not changed since the last export is not written again.
    """
    from lavra.catalog import open_catalog  # noqa: PLC0415
    from lavra.releases.export import export_release  # noqa: PLC0415
    from lavra.settings import load_settings  # noqa: PLC0415
    from lavra.storage import open_storage  # noqa: PLC0415

    settings = load_settings()
    export = export_release(
        open_catalog(settings), open_storage(settings), settings.project, environment
    )
    if as_json:
        print_json(export.to_dict())
        return
    out.print(f"{environment} is exported as of release {export.release_id}.")
    print_table(
        ("table", "rows", "outcome", "why"),
        [(t.name, t.rows if t.files else None, t.outcome, t.reason) for t in export.tables],
        empty="It holds no tables.",
    )


def _summary(release: Release, *, is_current: bool) -> dict[str, Any]:
    return {
        "id": release.id,
        "environment": release.environment,
        "made": release.created_at,
        "cause": _cause(release),
        "snapshot": release.snapshot_id,
        "data_through": release.data_through,
        "tables": len(release.tables),
        "git_commit": release.git_commit,
        "current": is_current,
    }


def _cause(release: Release) -> str:
    if release.restored_release_id is not None:
        return f"{release.cause} to {release.restored_release_id}"
    return release.cause


def _time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else ""


def _audits(audits: list[dict[str, Any]]) -> str:
    failed = [audit["name"] for audit in audits if not audit.get("passed", True)]
    passed = f"{len(audits) - len(failed)} passed"
    return f"{passed}, failed without blocking: {', '.join(failed)}" if failed else passed
