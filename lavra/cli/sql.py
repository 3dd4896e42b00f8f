"""`lavra sql`: one query to the running service, printed as a table or written as bytes."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lavra.cli.console import err, print_table
from lavra.errors import ConfigurationError, LavraError, ProcessError

if TYPE_CHECKING:
    import httpx

FORMATS = {
    "table": "application/json",
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "csv": "text/csv",
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/vnd.apache.parquet",
}
TABLE_ROWS = 1000
"""A table on the screen stops here unless --limit says otherwise."""


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""

    @app.command()
    def sql(  # noqa: PLR0917 - the command line's options
        statement: Annotated[str, typer.Argument(help="One statement; - reads standard input.")],
        output: Annotated[
            str, typer.Option("--format", "-f", help=f"One of {', '.join(FORMATS)}.")
        ] = "table",
        environment: Annotated[str, typer.Option(help="The SQLMesh environment.")] = "prod",
        parameter: Annotated[
            list[str] | None,
            typer.Option(
                "--parameter", "-p", help="name=value for $name; the value as JSON, else as text."
            ),
        ] = None,
        limit: Annotated[int | None, typer.Option(help="Most rows to answer.")] = None,
        timeout: Annotated[float | None, typer.Option(help="Time limit in seconds.")] = None,
        as_json: Annotated[bool, typer.Option("--json", help="Same as --format json.")] = False,
    ) -> None:
        """Run a query on the running service."""
        chosen = "json" if as_json else output
        if chosen not in FORMATS:
            raise ConfigurationError(
                f"There is no format {chosen!r}.", remedy=f"Use one of {', '.join(FORMATS)}."
            )
        if limit is None and chosen == "table":
            limit = TABLE_ROWS
        body = {
            "sql": sys.stdin.read() if statement == "-" else statement,
            "parameters": _parameters(parameter or []),
            "environment": environment,
            "row_limit": limit,
            "timeout_s": timeout,
        }
        _ask(body, chosen)


def _parameters(assignments: list[str]) -> dict[str, Any] | None:
    values: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigurationError(f"{assignment!r} is no parameter.", remedy="Use name=value.")
        try:
            values[name] = json.loads(text)
        except ValueError:
            values[name] = text
    return values or None


def _ask(body: dict[str, Any], output: str) -> None:
    import httpx  # noqa: PLC0415 - a tenth of a second that --help need not pay

    from lavra.local.run_file import as_running  # noqa: PLC0415
    from lavra.settings import load_settings  # noqa: PLC0415

    settings = as_running(load_settings())
    url = settings.resolved_service_url
    try:
        with (
            httpx.Client(base_url=url, timeout=httpx.Timeout(10, read=None)) as client,
            client.stream(
                "POST",
                "/v1/sql",
                json=body,
                headers={"Accept": FORMATS[output], **settings.service_headers},
            ) as response,
        ):
            _raise_problem(response)
            if output == "table":
                _print(json.loads(response.read()))
                return
            for data in response.iter_bytes():
                sys.stdout.buffer.write(data)
            if output == "json":
                sys.stdout.buffer.write(b"\n")
            sys.stdout.buffer.flush()
    except httpx.ConnectError as error:
        raise ProcessError(
            f"No query service answers at {url}.",
            remedy="Start one with `lavra serve` (or everything with `lavra up`).",
        ) from error
    except httpx.HTTPError as error:
        raise ProcessError(f"The query service at {url} broke off: {error}.") from error


def _raise_problem(response: httpx.Response) -> None:
    if response.status_code == 200:
        return
    response.read()
    try:
        problem = response.json()
        message = f"{problem['detail']} ({problem['code']})"
    except (ValueError, KeyError) as error:
        raise ProcessError(
            f"{response.url} answered {response.status_code}: is it Lavra's query service?"
        ) from error
    raise LavraError(message)


def _print(answer: dict[str, Any]) -> None:
    rows = [[_shown(value) for value in row] for row in answer["rows"]]
    print_table([column["name"] for column in answer["columns"]], rows, "No rows.")
    more = " (more were cut off: use --limit)" if answer["truncated"] else ""
    through = answer["snapshot"]["data_through"]
    err.print(
        f"{answer['row_count']} rows{more} in {answer['elapsed_ms']:.1f} ms; "
        f"release {answer['snapshot']['id']}" + (f", data through {through}" if through else ""),
        style="dim",
    )


def _shown(value: Any) -> Any:
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value).lower() if isinstance(value, bool) else value
