"""The form in which people write dashboards: one YAML file per chart and per dashboard.

``superset/assets/charts/<name>.yaml`` and ``superset/assets/dashboards/<slug>.yaml``, in
subfolders as wished. ``docs/dashboards.md`` explains every field.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lavra.errors import DashboardError

ASSETS = Path("superset") / "assets"
GRID_COLUMNS = 12

Text = str | dict[str, str]
"""A text, or one for each language: ``{en: Revenue, pt_BR: Receita}``."""

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=80)]

ChartType = Literal[
    "kpi", "trend", "line", "area", "bar", "pie", "table", "pivot", "heatmap", "treemap",
    "funnel", "histogram", "scatter",
]  # fmt: skip
Grain = Literal["minute", "hour", "day", "week", "month", "quarter", "year"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Chart(_Strict):
    """One chart; which fields it needs depends on its type."""

    title: Text
    type: ChartType
    dataset: str = Field(description="A Gold table: daily_revenue or gold_commerce.daily_revenue.")
    description: Text = ""
    metrics: list[str] = Field(default=[], description="Names from the model's metrics.yaml.")
    x: str | None = Field(default=None, description="Column of the x axis: of time or category.")
    grain: Grain | None = Field(default=None, description="Step of a time axis.")
    by: list[str] = Field(default=[], description="Columns that split the chart.")
    columns: list[str] = Field(default=[], description="Columns of a table of raw rows.")
    where: list[str] = Field(default=[], description="SQL conditions; all must hold.")
    period: str = Field(default="No filter", description="Superset's words: Last quarter.")
    sort: list[str] = Field(default=[], description="Columns of raw rows; -name descends.")
    limit: int = Field(default=1000, ge=1, le=50_000, description="Most rows, or groups.")
    may_be_empty: bool = Field(
        default=False, description="`lavra dashboards check` finds no fault with an empty answer."
    )
    compare: int | None = Field(default=None, ge=1, description="A trend's steps back.")
    compare_label: Text = ""
    whole: bool = Field(default=False, description="Leave out the step that is not over yet.")
    horizontal: bool = False
    stack: bool = False
    format: str | None = Field(default=None, description="d3 format, instead of the metric's.")
    options: dict[str, Any] = Field(default={}, description="Superset's own, passed as they are.")

    @model_validator(mode="after")
    def _needs(self) -> Chart:
        needs: dict[str, tuple[str, ...]] = {
            "kpi": ("metrics",), "trend": ("metrics", "x", "grain"), "line": ("metrics", "x"),
            "area": ("metrics", "x"), "bar": ("metrics", "x"), "pie": ("metrics", "by"),
            "pivot": ("metrics", "by"), "heatmap": ("metrics", "x", "by"),
            "treemap": ("metrics", "by"), "funnel": ("metrics", "by"), "histogram": ("x",),
            "scatter": ("metrics", "x"),
        }  # fmt: skip
        missing = [name for name in needs.get(self.type, ()) if not getattr(self, name)]
        if missing:
            raise ValueError(f"a {self.type} chart needs {' and '.join(missing)}")
        if self.type in {"kpi", "trend", "pie", "treemap", "funnel", "heatmap"} and (
            len(self.metrics) > 1
        ):
            raise ValueError(f"a {self.type} chart shows one metric, not {len(self.metrics)}")
        if self.whole and not (self.x and self.grain):
            raise ValueError("whole needs x and grain: the steps of which the last is left out")
        if self.type == "table" and bool(self.columns) == bool(self.metrics):
            raise ValueError("a table needs columns (raw rows) or metrics (groups), not both")
        return self

    @property
    def whole_steps(self) -> bool:
        """Whether it shows whole steps alone, as each comparison of steps does."""
        return self.whole or (self.type == "trend" and self.compare is not None)

    @property
    def filters_wrongly(self) -> bool:
        """Whether a click filters by a bar's number, as Superset 6.1 does for lying bars."""
        return self.horizontal and not self.by and self.grain is None


class Filter(_Strict):
    """A filter in the dashboard's filter bar."""

    name: Text
    type: Literal["select", "range", "time", "grain"] = "select"
    dataset: str | None = None
    column: str | None = None
    multiple: bool = True
    default: str | None = Field(default=None, description="Of a time filter: Last quarter.")
    description: Text = ""

    @model_validator(mode="after")
    def _needs(self) -> Filter:
        if self.type in {"select", "range"} and not (self.dataset and self.column):
            raise ValueError(f"a {self.type} filter needs dataset and column")
        if self.type == "grain" and not self.dataset:
            raise ValueError("a grain filter needs dataset")
        return self


class Row(_Strict):
    """A row of the grid: charts with their widths (12 make a row), or a text."""

    charts: dict[str, Annotated[int, Field(ge=1, le=GRID_COLUMNS)]] = {}
    text: Text = Field(default="", description="Markdown, across the whole width.")
    height: int | None = Field(default=None, ge=5, le=200, description="In units of 8 pixels.")

    @model_validator(mode="after")
    def _fits(self) -> Row:
        if bool(self.charts) == bool(self.text):
            raise ValueError("a row holds charts or a text")
        if sum(self.charts.values()) > GRID_COLUMNS:
            raise ValueError(
                f"the widths add up to {sum(self.charts.values())}, but a row has {GRID_COLUMNS}"
            )
        return self


class Tab(_Strict):
    """One tab of a dashboard: rows under a title."""

    title: Text
    rows: list[Row] = Field(min_length=1)


class Dashboard(_Strict):
    """One dashboard: rows of charts, perhaps in tabs, and filters over them."""

    title: Text
    description: Text = ""
    refresh_s: int = Field(default=0, ge=0, description="Reload every so many seconds; 0: never.")
    color_scheme: str = "lavra"
    cross_filters: bool = True
    roles: list[str] = Field(
        default=[], description="Roles that may open it, beside Admin; none: whoever sees data."
    )
    filters: list[Filter] = []
    rows: list[Row] = Field(default=[], description="Above the tabs, where there are any.")
    tabs: list[Tab] = []

    @model_validator(mode="after")
    def _shows_something(self) -> Dashboard:
        if not self.rows and not self.tabs:
            raise ValueError("a dashboard needs rows or tabs")
        return self

    @property
    def places(self) -> list[tuple[str, Row]]:
        """Each row with its field's name, in reading order."""
        return [(f"rows.{n}", row) for n, row in enumerate(self.rows)] + [
            (f"tabs.{t}.rows.{n}", row)
            for t, tab in enumerate(self.tabs)
            for n, row in enumerate(tab.rows)
        ]

    @property
    def charts(self) -> list[str]:
        """The names of its charts, in reading order."""
        return [name for _, row in self.places for name in row.charts]


@dataclass(frozen=True)
class Assets:
    """All that ``superset/assets`` declares, by name; ``files`` says where each was written."""

    charts: dict[str, Chart] = field(default_factory=dict)
    dashboards: dict[str, Dashboard] = field(default_factory=dict)
    files: dict[tuple[str, str], Path] = field(default_factory=dict)


Form = TypeVar("Form", Chart, Dashboard)


def load_assets(project: Path, left_out: Collection[str] = ()) -> tuple[Assets, list[str]]:
    """Read every chart and dashboard of a project.

    Args:
        project: The folder of ``lavra.toml``.
        left_out: Domains whose dashboard and folder of charts are left out.

    Returns:
        What could be read, and a list of what could not, each with its file and field.
    """
    assets = Assets()
    problems = _load(project, "charts", Chart, assets.charts, assets.files, left_out=left_out)
    problems += _load(
        project, "dashboards", Dashboard, assets.dashboards, assets.files, left_out=left_out
    )
    return assets, problems


def _load(
    project: Path,
    folder: str,
    kind: type[Form],
    found: dict[str, Form],
    files: dict[tuple[str, str], Path],
    *,
    left_out: Collection[str],
) -> list[str]:
    problems: list[str] = []
    root: Path = project / ASSETS / folder
    for path in sorted([*root.rglob("*.yaml"), *root.rglob("*.yml")]):
        shown, name = path.relative_to(project), path.stem
        if path.relative_to(root).with_suffix("").parts[0] in left_out:
            continue
        if not re.fullmatch("[a-z][a-z0-9_]*", name):
            problems.append(f"{shown}: a file's name is a name of ours: use a-z, 0-9 and _")
        elif name in found:
            problems.append(f"{shown}: {files[folder, name]} has the same name")
        else:
            try:
                found[name] = parse(path.read_text("utf-8"), kind)
                files[folder, name] = shown
            except DashboardError as error:
                problems += [f"{shown}: {line}" for line in error.message.split("\n")]
    return problems


def parse(text: str, kind: type[Form]) -> Form:
    """Read one file's text.

    Raises:
        DashboardError: it is no YAML, or a field is wrong; one line for each problem.
    """
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise DashboardError(f"{where}{getattr(error, 'problem', None) or 'no YAML'}") from error
    if not isinstance(value, dict):
        raise DashboardError("the file must hold fields, such as title: and type:")
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise DashboardError("\n".join(_lines(error))) from error


def _lines(error: ValidationError) -> list[str]:
    lines = []
    for item in error.errors(include_url=False, include_context=False):
        where = ".".join(str(part) for part in item["loc"] if part not in {"str", "dict[str,str]"})
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            message = "no such field"
        lines.append(f"{where}: {message}" if where else message)
    return list(dict.fromkeys(lines))


def in_language(text: Text, locale: str) -> str:
    """Return a text in the wanted language, else in English, else in its first."""
    if isinstance(text, str):
        return text
    return text.get(locale) or text.get("en") or next(iter(text.values()), "")
