"""From edits made in Superset back to the files of ``superset/assets``, and only those edited."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from lavra.dashboards.chart_types import GRAINS, ChartCompiler
from lavra.dashboards.conditions import NoForm, conditions
from lavra.dashboards.export_new import (
    TYPES,
    is_noise,
    name_of,
    of_its_mode,
    unnamed_metrics,
    with_named_metrics,
    without_matrix,
)
from lavra.dashboards.form import ASSETS, Assets, Chart, Dashboard, Filter, Row, Text, in_language
from lavra.dashboards.freshness import PREFIX
from lavra.dashboards.identity import chart_uuid, dashboard_uuid, dataset_uuid
from lavra.dashboards.layout import row_height

if TYPE_CHECKING:
    from lavra.dashboards.drift import State
    from lavra.dashboards.gold import Gold, GoldTable

_GRAINS = {code: name for name, code in GRAINS.items()}
_FORMATS = ("y_axis_format", "number_format", "valueFormat")
_LABELS = ("compare_suffix", "subheader")
_FILTERS = {
    "filter_select": "select",
    "filter_range": "range",
    "filter_time": "time",
    "filter_timegrain": "grain",
}


@dataclass
class Exported:
    """The files to write, by path in the project, and what could not be brought back."""

    files: dict[Path, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def export(
    state: State, assets: Assets, gold: Gold, locale: str, time_zone: str = "UTC"
) -> Exported:
    """Return the files that say what Superset holds now; unedited ones are not among them.

    A file that is returned replaces the old one whole, its comments included.

    Args:
        state: What Superset held after the import, and holds now.
        assets: What the files say.
        gold: The Gold tables with their metrics.
        locale: The language that Superset shows; texts of other languages stay.
        time_zone: The business time zone, as at the import.
    """
    out = Exported()
    exporter = _Exporter(assets, gold, locale, time_zone)
    for key, now in state.now.items():
        if key.startswith("new_charts "):
            _new_chart(out, exporter, key.removeprefix("new_charts "), now)
    for name, chart in assets.charts.items():
        key = f"charts {chart_uuid(name)}"
        _one(out, state, key, assets.files["charts", name], chart, exporter.chart)
    for slug, dashboard in assets.dashboards.items():
        key = f"dashboards {dashboard_uuid(slug)}"
        if key in state.now and (new := _unplaced(state, key, exporter)):
            state = replace(state, now=state.now | {key: state.now[key] | {"unplaced": new}})
        _one(out, state, key, assets.files["dashboards", slug], dashboard, exporter.dashboard)
    out.notes += [
        f"dataset {now['title']}: its columns and metrics come from the models; edit those"
        for key, now in state.now.items()
        if key.startswith("datasets ") and now != state.imported.get(key)
    ]
    return out


def _unplaced(state: State, board: str, exporter: _Exporter) -> list[str]:
    """Return the new charts of a dashboard whose layout was not saved since: "Save as" does so."""
    placed = str(state.now[board]["position"])
    return [
        uuid
        for key, now in state.now.items()
        if (uuid := key.removeprefix("new_charts ")) in exporter.charts
        and board.removeprefix("dashboards ") in now.get("dashboards", ())
        and uuid not in placed
    ]


def _one(  # noqa: PLR0917 - private, called twice
    out: Exported, state: State, key: str, file: Path, old: Any, read: Any
) -> None:
    imported, now = state.imported.get(key), state.now.get(key)
    if imported is None:
        out.notes.append(f"{file}: was never imported")
    elif now is None:
        out.notes.append(f"{file}: was deleted in Superset; remove the file, or import it again")
    elif now != imported:
        try:
            new = read(old, imported, now)
        except (NoForm, ValidationError) as error:
            out.notes.append(f"{file}: cannot be written in our form: {error}")
            return
        if new != old:
            out.files[file] = to_yaml(new)


def _new_chart(out: Exported, exporter: _Exporter, uuid: str, now: dict[str, Any]) -> None:
    """Write a chart that somebody made and put on one of our dashboards."""
    try:
        chart = exporter.new_chart(now)
    except (NoForm, ValidationError) as error:
        out.notes.append(f"new chart {now['title']}: cannot be written in our form: {error}")
        return
    name = name_of(now["title"], exporter.charts.values())
    exporter.charts[uuid] = name
    exporter.assets.charts[name] = chart
    out.files[ASSETS / "charts" / f"{name}.yaml"] = to_yaml(chart)
    out.notes.append(
        f"new chart {now['title']}: the next import makes it anew from {name}.yaml; "
        "the one made in Superset is then on no dashboard, and can be deleted there"
    )


def to_yaml(form: Chart | Dashboard) -> str:
    """Write a chart or dashboard as a person would: no defaults, short lists on one line."""
    plain = form.model_dump(exclude_defaults=True, mode="json")
    return yaml.safe_dump(
        plain, sort_keys=False, allow_unicode=True, default_flow_style=None, width=160
    )


class _Exporter:
    def __init__(self, assets: Assets, gold: Gold, locale: str, time_zone: str) -> None:
        self.gold = gold
        self.locale = locale
        self.time_zone = time_zone
        self.assets = replace(assets, charts=dict(assets.charts))
        self.charts = {chart_uuid(name): name for name in assets.charts}
        self.freshness = {chart_uuid(f"{PREFIX}{slug}") for slug in assets.dashboards}
        self.tables = {dataset_uuid(name): table for name, table in gold.tables.items()}

    def chart(self, old: Chart, imported: dict[str, Any], now: dict[str, Any]) -> Chart:
        """Return the chart with the edits; what our fields cannot say goes to ``options``."""
        if now["viz_type"] != imported["viz_type"]:
            raise NoForm(f"its type became {now['viz_type']}; set `type` in the file")
        fields = old.model_dump(exclude_defaults=True)
        table = self.gold.find(old.dataset)
        if now["dataset"] != imported["dataset"]:
            table = self.tables.get(now["dataset"])
            if table is not None:
                fields["dataset"] = self._short_name(table)
        if table is None:
            raise NoForm("its dataset is none of ours")
        self._texts(fields, imported, now)
        before, after = imported["params"], without_matrix(now["params"])
        edited = {
            name: after.get(name)
            for name in before.keys() | after.keys()
            if before.get(name) != after.get(name) and (before.get(name) or after.get(name))
            if name in before or not is_noise(name, after.get(name))
        }
        options = old.options | {
            name: value
            for name, value in sorted(edited.items())
            if not self._read_param(fields, old.compare_label, name, value)
        }
        fields["options"] = options
        new = Chart.model_validate(fields)
        written = self._params(new, table)
        missed = {
            name: value
            for name, value in edited.items()
            # The editor writes a condition in more words than we do.
            if written.get(name) != value and name not in options and name != "adhoc_filters"
        }
        if missed:
            new = new.model_copy(update={"options": options | missed})
        return new

    def new_chart(self, now: dict[str, Any]) -> Chart:
        """Return a chart that was made in the editor, without what the editor adds of itself."""
        table = self.tables.get(now["dataset"])
        if table is None:
            raise NoForm("its dataset is none of ours")
        if now["viz_type"] not in TYPES:
            raise NoForm(f"there is no form of {now['viz_type']}")
        params = with_named_metrics(without_matrix(now["params"]), table)
        if now["viz_type"] == "table":
            params = of_its_mode(params)
        if unnamed := unnamed_metrics(params):
            raise NoForm(
                f"{', '.join(unnamed)} is no metric of {table.full_name}; "
                "define it in metrics.yaml and choose it there"
            )
        fields: dict[str, Any] = {
            "title": now["title"], "type": TYPES[now["viz_type"]],
            "dataset": self._short_name(table), "description": now["description"] or "",
        }  # fmt: skip
        told = {name: value for name, value in params.items() if not is_noise(name, value)}
        rest = {n: v for n, v in told.items() if not self._read_param(fields, "", n, v)}
        made = Chart.model_validate(fields)
        usual = made.model_copy(update={"format": None})
        if self._params(usual, table) == self._params(made, table) | {
            name: told[name] for name in _FORMATS if name in told
        }:
            made = usual
        written = self._params(made, table)
        options = {name: value for name, value in rest.items() if written.get(name) != value}
        return made.model_copy(update={"options": options})

    def _params(self, chart: Chart, table: GoldTable) -> dict[str, Any]:
        return ChartCompiler(chart, table, self.locale, self.time_zone).params()

    def _texts(self, fields: dict[str, Any], imported: dict[str, Any], now: dict[str, Any]) -> None:
        for name in ("title", "description"):
            if now[name] != imported[name]:
                fields[name] = self._text(fields.get(name, ""), now[name] or "")

    def _text(self, old: Text, new: str) -> Text:
        return {**old, self.locale: new} if isinstance(old, dict) else new

    def _read_param(  # noqa: C901 - one line for each field
        self, fields: dict[str, Any], label: Text, name: str, value: Any
    ) -> bool:
        """Put one edited parameter into our fields; False when none of them is its place."""
        if name in {"metric", "metrics"}:
            names = [value] if isinstance(value, str) else value
            if not names or not all(isinstance(item, str) for item in names):
                return False
            fields["metrics"] = list(names)
        elif name in {"groupby", "groupbyRows"} and all(isinstance(v, str) for v in value or ()):
            fields["by"] = [value] if isinstance(value, str) else list(value or ())
        elif name == "time_grain_sqla" and value in _GRAINS:
            fields["grain"] = _GRAINS[value]
        elif name in {"x_axis", "column"} and isinstance(value, str):
            fields["x"] = value
        elif name in _LABELS:
            fields["compare_label"] = self._text(label, value or "")
        elif name in _FORMATS and value:
            fields["format"] = value
        elif name == "order_by_cols":
            pairs = [json.loads(item) for item in value or ()]
            fields["sort"] = [column if rising else f"-{column}" for column, rising in pairs]
        elif name == "adhoc_filters":
            fields["where"], fields["period"] = conditions(value or ())
        elif name == "orientation":
            fields["horizontal"] = value == "horizontal"
        elif name in {"all_columns", "row_limit", "compare_lag"} and value:
            renamed = {"all_columns": "columns", "row_limit": "limit", "compare_lag": "compare"}
            fields[renamed[name]] = value
        else:
            return False
        return True

    def dashboard(self, old: Dashboard, imported: dict[str, Any], now: dict[str, Any]) -> Dashboard:
        """Return the dashboard with the edits."""
        fields = old.model_dump()
        self._texts(fields, imported, now)
        metadata, before = now["metadata"], imported["metadata"]
        fields["refresh_s"] = int(metadata.get("refresh_frequency") or 0)
        fields["cross_filters"] = bool(metadata.get("cross_filters_enabled", True))
        fields["color_scheme"] = metadata.get("color_scheme") or old.color_scheme
        if now["position"] != imported["position"]:
            fields |= self._layout(old, now["position"])
        last = (fields["tabs"][-1] if fields["tabs"] else fields)["rows"]
        last += [{"charts": {self.charts[new]: 6}} for new in now.get("unplaced", ())]
        key = "native_filter_configuration"
        if metadata.get(key) != before.get(key):
            known = {f"NATIVE_FILTER-{n}": item for n, item in enumerate(old.filters, start=1)}
            fields["filters"] = [
                self._filter(item, known.get(item["id"])) for item in metadata.get(key) or ()
            ]
        return Dashboard.model_validate(fields)

    def _layout(self, old: Dashboard, position: dict[str, Any]) -> dict[str, Any]:
        """Return the fields ``rows`` and ``tabs`` of a layout; tabs may stand at its root."""
        texts = _texts_of(old)
        top = position["ROOT_ID"]["children"]
        blocks = position["GRID_ID"]["children"] if "GRID_ID" in top else top
        rows: list[dict[str, Any]] = []
        tabs: list[dict[str, Any]] = []
        for block in blocks:
            kind = position[block]["type"]
            if kind == "TABS" and not tabs:
                tabs = [
                    self._tab(old, position[tab], number, texts, position)
                    for number, tab in enumerate(position[block]["children"])
                ]
            elif kind == "ROW" and not tabs:
                rows += self._row(position[block], texts, position)
            else:
                raise NoForm(f"its layout has a {kind.lower()}" + " after tabs" * bool(tabs))
        return {"rows": rows, "tabs": tabs}

    def _tab(
        self, old: Dashboard, tab: dict[str, Any], number: int, texts: dict[str, Text],
        position: dict[str, Any],
    ) -> dict[str, Any]:  # fmt: skip
        rows = []
        for name in tab["children"]:
            if position[name]["type"] != "ROW":
                raise NoForm(f"a tab of its layout has a {position[name]['type'].lower()}")
            rows += self._row(position[name], texts, position)
        kept: Text = old.tabs[number].title if number < len(old.tabs) else ""
        shown = tab["meta"].get("text") or tab["meta"].get("defaultText") or f"Tab {number + 1}"
        same = in_language(kept, self.locale) == shown
        return {"title": kept if same else self._text(kept, shown), "rows": rows}

    def _row(
        self, row: dict[str, Any], texts: dict[str, Text], position: dict[str, Any]
    ) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        children = [position[child] for child in row["children"]]
        charts = {}
        for child in children:
            meta = child["meta"]
            if meta.get("uuid") in self.freshness:
                continue
            if child["type"] == "MARKDOWN" and len(children) == 1:
                kept = texts.get(child["id"], "")
                same = in_language(kept, self.locale) == meta["code"]
                rows.append({"text": kept if same else self._text(kept, meta["code"])})
            elif child["type"] != "CHART" or meta.get("uuid") not in self.charts:
                raise NoForm(f"its layout has a {child['type'].lower()} that is none of ours")
            else:
                charts[self.charts[meta["uuid"]]] = meta["width"]
        if charts:
            height = max(child["meta"]["height"] for child in children)
            usual = row_height(Row(charts=charts), self.assets.charts)
            rows.append({"charts": charts} | ({} if height == usual else {"height": height}))
        return rows

    def _filter(self, item: dict[str, Any], old: Filter | None) -> dict[str, Any]:
        if item["filterType"] not in _FILTERS:
            raise NoForm(f"a filter is a {item['filterType']}")
        kind = _FILTERS[item["filterType"]]
        target = (item.get("targets") or [{}])[0]
        found: dict[str, Any] = {"name": self._text(old.name if old else "", item["name"])}
        found["type"] = kind
        if "dataset" in target:
            table = self.tables.get(target["dataset"])
            if table is None:
                raise NoForm(f"the filter {item['name']} reads a dataset that is none of ours")
            found["dataset"] = self._short_name(table)
        if target.get("column"):
            found["column"] = target["column"]["name"]
        if kind == "select":
            found["multiple"] = bool(item.get("controlValues", {}).get("multiSelect", True))
        if kind == "time":
            found["default"] = item.get("defaultDataMask", {}).get("filterState", {}).get("value")
        found["description"] = self._text(old.description if old else "", item["description"])
        return found

    def _short_name(self, table: GoldTable) -> str:
        return table.name if self.gold.find(table.name) else table.full_name


def _texts_of(old: Dashboard) -> dict[str, Text]:
    """Return the texts in a dashboard's layout by the names that the compiler gave them."""
    # The first row is the compiler's own, about how fresh the data is.
    rows = enumerate((row for _, row in old.places), start=2)
    return {f"MARKDOWN-{number}": row.text for number, row in rows if row.text}
