"""`lavra ingest plan|apply|import|destroy`: a real Airbyte, from the same YAML."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lavra.cli.console import err, out, print_json
from lavra.errors import ConfigurationError

if TYPE_CHECKING:
    from lavra.airbyte.plan import Change, Plan
    from lavra.airbyte.server import AirbyteServer
    from lavra.airbyte.state import AirbyteState
    from lavra.settings import Settings

Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="[CONNECTION]...", help="Names of connections; all, without any."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask, not even before removing things.")]

_SIGNS = {"create": "+", "adopt": "+", "update": "~", "replace": "-/+", "delete": "-"}


def register(group: typer.Typer) -> None:
    """Add the commands to `lavra ingest`."""
    group.command("plan")(plan)
    group.command("apply")(apply)
    group.command("import")(import_)
    group.command("destroy")(destroy)


def plan(
    connections: Names = None,
    as_json: AsJson = False,
    check: Annotated[
        bool, typer.Option("--check", help="Exit with 2 if anything would change, for CI.")
    ] = False,
) -> None:
    """Show what `apply` would change on the Airbyte server, and what somebody changed there."""
    settings, server, state = _open()
    made = _plan(settings, server, state, connections or [])
    if as_json:
        print_json(made.to_json())
    else:
        _show(made)
    if check and not made.is_empty:
        raise typer.Exit(2)


def apply(connections: Names = None, yes: Yes = False, as_json: AsJson = False) -> None:
    """Make the Airbyte server as airbyte/ declares it; asks before anything is lost there."""
    from lavra.airbyte.apply import apply as carry_out  # noqa: PLC0415

    settings, server, state = _open()
    with state.lock(lambda: err.print("Another apply is under way; waiting for it.")):
        made = _plan(settings, server, state, connections or [])
        if not as_json:
            _show(made)
        if not made.is_empty:
            _ask(made.changes, yes=yes)
            carry_out(server, state, made, _Steps())
    if as_json:
        print_json(made.to_json())
    elif not made.is_empty:
        out.print(f"Applied {len(made.changes)} changes.")


def import_(
    owner: Annotated[
        str, typer.Option("--owner", help="Who answers for what is imported.")
    ] = "data team",
    force: Annotated[bool, typer.Option("--force", help="Write over files that exist.")] = False,
) -> None:
    """Write airbyte/*.yaml from what the workspace has; secrets become references."""
    from lavra.airbyte.importing import import_workspace  # noqa: PLC0415
    from lavra.landing.schema import write_schema  # noqa: PLC0415

    settings, server, _ = _open()
    imported = import_workspace(server, owner)
    root = settings.project / "airbyte"
    exist = [path for path in imported.files if (root / path).exists()]
    if exist and not force:
        raise ConfigurationError(
            f"{', '.join(exist)} exist in {root} already.",
            remedy="Move them away, or say --force.",
        )
    if imported.files:
        write_schema(settings.project)
    for path, text in imported.files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
        out.print(str(Path("airbyte") / path), markup=False)
        for variable in imported.secrets.get(path, ()):
            out.print(f"  set {variable} in the environment: Airbyte does not tell it")
    for note in imported.notes:
        err.print(note, markup=False)
    if not imported.files:
        out.print("The workspace has no connections.")
    else:
        out.print("`lavra ingest apply` takes them over: they are Lavra's from then on.")


def destroy(connections: Names = None, yes: Yes = False) -> None:
    """Remove from the Airbyte server what `apply` made there; Bronze stays."""
    from lavra.airbyte.apply import apply as carry_out  # noqa: PLC0415
    from lavra.airbyte.plan import Plan, make_plan  # noqa: PLC0415

    _, server, state = _open()
    with state.lock(lambda: err.print("Another apply is under way; waiting for it.")):
        whole = make_plan(server, state, [])
        named = set(connections or ())
        changes = tuple(
            change
            for change in whole.changes
            if not named or (change.name in named and change.kind in {"connection", "source"})
        )
        if not changes:
            out.print("There is nothing of ours on the server.")
            return
        made = Plan(changes, {}, ())
        _show(made)
        _ask(changes, yes=yes)
        carry_out(server, state, made, _Steps())
    out.print(f"Removed {len(changes)} things.")


class _Steps:
    def begins(self, change: Change) -> None:
        err.print(f"{change.kind} {change.name}: {change.action} ...", markup=False)

    def done(self, change: Change) -> None:
        err.print(f"{change.kind} {change.name}: done", markup=False)


def _open() -> tuple[Settings, AirbyteServer, AirbyteState]:
    from lavra.airbyte.server import open_server  # noqa: PLC0415
    from lavra.airbyte.state import AirbyteState  # noqa: PLC0415
    from lavra.catalog import open_catalog  # noqa: PLC0415
    from lavra.settings import load_settings  # noqa: PLC0415

    settings = load_settings()
    server = open_server(settings)
    return settings, server, AirbyteState(open_catalog(settings), server.workspace_id)


def _plan(settings: Settings, server: AirbyteServer, state: AirbyteState, names: list[str]) -> Plan:
    from lavra.airbyte.desired import desired  # noqa: PLC0415
    from lavra.airbyte.plan import make_plan  # noqa: PLC0415
    from lavra.landing.connections import load_connections  # noqa: PLC0415

    declared = load_connections(settings.project, names)
    return make_plan(server, state, desired(settings.project, declared), complete=not names)


def _show(made: Plan) -> None:
    for change in made.changes:
        note = {
            "adopt": " (is there already, and not ours: it would be taken over)",
            "replace": " (another connector: it is removed and made anew)",
        }.get(change.action, "")
        sign = _SIGNS[change.action]
        out.print(f"{sign} {change.kind} {change.name}{note}", markup=False, soft_wrap=True)
        for each in change.fields:
            before, after = each.before or "(nothing)", each.after or "(nothing)"
            out.print(
                f"    {each.field}: {before} -> {after}  [{each.cause}]",
                markup=False, soft_wrap=True,
            )  # fmt: skip
    for name, streams in made.new_streams.items():
        out.print(
            f"  {name}: the source has new streams, not declared: {', '.join(streams)}",
            markup=False, soft_wrap=True,
        )  # fmt: skip
    if made.is_empty:
        out.print("No changes: the server is as airbyte/ declares it.")


def _ask(changes: tuple[Change, ...], *, yes: bool) -> None:
    lost = [change for change in changes if change.is_destructive]
    if yes or not lost:
        return
    import sys  # noqa: PLC0415

    named = ", ".join(f"{change.kind} {change.name}" for change in lost)
    if not sys.stdin.isatty():
        raise ConfigurationError(
            f"This removes, takes over or reads again: {named}.",
            remedy="Say --yes where nobody can be asked.",
        )
    if not typer.confirm(f"This removes, takes over or reads again: {named}. Go on?"):
        raise typer.Exit(1)
