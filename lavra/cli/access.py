"""`lavra access`: who may see what, and the record of who asked."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated

import typer

from lavra.cli import access_policy
from lavra.cli.console import print_json, print_table
from lavra.errors import AccessError


def register(app: typer.Typer) -> None:
    """Add the group to the command line."""
    group = typer.Typer(
        name="access", help="Who may see what, and the record of it.", no_args_is_help=True
    )
    group.command("lint")(access_policy.lint_command)
    group.command("test")(access_policy.run_tests_command)
    group.command("explain")(access_policy.explain_command)
    group.command("diff")(access_policy.diff_command)
    group.command("schema", hidden=True)(access_policy.schema_command)
    group.command("log")(log_command)
    app.add_typer(group)


def log_command(
    user: Annotated[str | None, typer.Option(help="Only this caller's.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Only from then on: 2h, 7d, or 2026-01-31T12:00 in UTC.")
    ] = None,
    refused: Annotated[bool, typer.Option("--refused", help="Only refusals.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the record of queries, refusals and key events, newest first."""
    from lavra.access.log import list_entries  # noqa: PLC0415
    from lavra.catalog import open_catalog  # noqa: PLC0415
    from lavra.settings import load_settings  # noqa: PLC0415

    start = _moment(since) if since else None
    with open_catalog(load_settings()).connect() as connection:
        entries = list_entries(connection, user=user, since=start, refused=refused, limit=limit)
    if as_json:
        print_json(entries)
        return
    print_table(
        ("time", "caller", "from", "event", "outcome", "rows", "ms", "what"),
        [
            (
                f"{entry['at'].astimezone(UTC):%Y-%m-%d %H:%M:%S}",
                f"{entry['kind']}:{entry['caller']}" if entry["caller"] else "",
                entry["client"],
                entry["event"],
                entry["code"] or entry["outcome"],
                entry["row_count"],
                f"{entry['duration_ms']:.1f}" if entry["duration_ms"] is not None else "",
                _what(entry),
            )
            for entry in entries
        ],
        empty="Nothing is recorded (of that).",
    )


def _what(entry: dict[str, object]) -> str:
    text = entry["sql"] or entry["route"] or entry["detail"] or entry["key_id"] or ""
    return " ".join(str(text).split())[:80]


def _moment(text: str) -> datetime:
    from lavra.durations import parse_duration  # noqa: PLC0415

    with suppress(ValueError):
        return datetime.now(UTC) - parse_duration(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise AccessError(
            f"{text!r} is no time.", remedy="Use 30m, 2h, 7d, or 2026-01-31T12:00."
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
