"""`lavra keys`: who may ask the query service with an API key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lavra.cli.console import err, out, print_json, print_table
from lavra.errors import AccessError

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from lavra.access.keys import ApiKey

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the group to the command line."""
    group = typer.Typer(name="keys", help="API keys of the query service.", no_args_is_help=True)
    group.command("create")(create_command)
    group.command("list")(list_command)
    group.command("revoke")(revoke_command)
    group.command("rotate")(rotate_command)
    app.add_typer(group)


def create_command(  # noqa: PLR0917 - the command line's options
    name: Annotated[str, typer.Argument(help="Who asks with it: what the access log shows.")],
    role: Annotated[
        list[str] | None, typer.Option("--role", "-r", help="A role it carries (repeatable).")
    ] = None,
    environment: Annotated[
        list[str] | None,
        typer.Option("--environment", "-e", help="Only this environment (repeatable)."),
    ] = None,
    expires: Annotated[
        str, typer.Option(help="How long it works: 12h, 90d, 52w, or never.")
    ] = "90d",
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    as_json: Json = False,
) -> None:
    """Make a key. It is shown once, on standard output, and kept nowhere."""
    from lavra.access.keys import create_key  # noqa: PLC0415
    from lavra.catalog import open_catalog  # noqa: PLC0415
    from lavra.settings import load_settings  # noqa: PLC0415

    lifetime = _lifetime(expires)
    with open_catalog(load_settings()).connect() as connection:
        made = create_key(
            connection, name, roles=role or (), environments=environment or None,
            lifetime=lifetime, description=description,
        )  # fmt: skip
    _show(*made, as_json=as_json)


def rotate_command(
    key: Annotated[str, typer.Argument(help="Name or id of the key to replace.")],
    overlap: Annotated[str, typer.Option(help="How long the old one still works.")] = "24h",
    expires: Annotated[
        str | None, typer.Option(help="How long the new one works. Default: as the old one.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a new key with the same name, roles and scope; the old one ends after the overlap."""
    from lavra.access.keys import rotate_key  # noqa: PLC0415
    from lavra.catalog import open_catalog  # noqa: PLC0415
    from lavra.settings import load_settings  # noqa: PLC0415

    both = _lifetime(overlap)
    if both is None:
        raise AccessError("An overlap must end.", remedy="For example --overlap 1h.")
    lifetime = _lifetime(expires) if expires else None
    with open_catalog(load_settings()).connect() as connection:
        made = rotate_key(connection, key, overlap=both, lifetime=lifetime)
    _show(*made, as_json=as_json)


def revoke_command(
    key: Annotated[str, typer.Argument(help="Id of a key, or a name: then all of that name.")],
    as_json: Json = False,
) -> None:
    """End a key at once; running services know within seconds."""
    from lavra.access.keys import revoke_key  # noqa: PLC0415
    from lavra.catalog import open_catalog  # noqa: PLC0415
    from lavra.settings import load_settings  # noqa: PLC0415

    with open_catalog(load_settings()).connect() as connection:
        revoked = revoke_key(connection, key)
    if as_json:
        print_json([one.to_dict() for one in revoked])
    else:
        out.print(f"Revoked: {', '.join(f'{one.name} ({one.id})' for one in revoked)}.")


def list_command(
    everything: Annotated[
        bool, typer.Option("--all", help="Revoked and expired ones too.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List keys, newest first, without what is secret of them."""
    from lavra.access.keys import list_keys  # noqa: PLC0415
    from lavra.catalog import open_catalog  # noqa: PLC0415
    from lavra.settings import load_settings  # noqa: PLC0415

    with open_catalog(load_settings()).connect() as connection:
        rows = [key.to_dict() for key in list_keys(connection)]
    if not everything:
        rows = [row for row in rows if row["state"] == "active"]
    if as_json:
        print_json(rows)
        return
    print_table(
        ("id", "name", "roles", "environments", "made", "expires", "state", "description"),
        [
            (
                row["id"], row["name"], ", ".join(row["roles"]),
                ", ".join(row["environments"] or ["all"]), _time(row["created_at"]),
                _time(row["expires_at"]), row["state"], row["description"],
            )
            for row in rows
        ],
        empty="No key yet. `lavra keys create NAME` makes one.",
    )  # fmt: skip


def _show(key: ApiKey, text: str, *, as_json: bool) -> None:
    if as_json:
        print_json({**key.to_dict(), "key": text})
        return
    shown: dict[str, Any] = key.to_dict()
    ends = f"until {_time(key.expires_at)}" if key.expires_at else "until it is revoked"
    roles = f"roles {', '.join(shown['roles'])}" if shown["roles"] else "no roles"
    err.print(f"Key {key.id} of {key.name}, {roles}, {ends}. It is shown only now:")
    out.print(text, soft_wrap=True, markup=False)


def _lifetime(text: str) -> timedelta | None:
    from lavra.durations import parse_duration  # noqa: PLC0415

    if text == "never":
        return None
    remedy = "Use 30m, 12h, 90d, 52w or never."
    try:
        lifetime = parse_duration(text)
    except ValueError as error:
        raise AccessError(f"{text!r} is no time.", remedy=remedy) from error
    if not lifetime:
        raise AccessError(f"{text!r} is over at once.", remedy=remedy)
    return lifetime


def _time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else "never"
