"""The SQLMesh models of a plan: one per file in Bronze and Silver, and its Gold tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lavra.landing import types
from lavra.scaffold import comments, naming, roles
from lavra.scaffold.models import (
    Column,
    Input,
    Join,
    Model,
    identifier,
    refined_type,
    sql_type,
)
from lavra.scaffold.plan import Mart, Measure, TablePlan
from lavra.scaffold.profile import ColumnProfile
from lavra.scaffold.roles import Aggregate, Role
from lavra.scaffold.templating import plain, shown, sql_literal

_ROW_ID = "row_id"
_RAW_ID = "_airbyte_raw_id"
_EXTRACTED_AT = "_airbyte_extracted_at"
_BIGGEST = 2**63 - 1
_ROOM_TO_GROW = 1000  # a total keeps its type until the file has this many times its rows


def models_of(
    plan: TablePlan, plans: dict[str, TablePlan], connection: str, domain: str
) -> Iterator[Model]:
    """Yield the models of one file, from Bronze to Gold.

    Args:
        plan: What is made of the file.
        plans: All files' plans, by name.
        connection: What lands the file.
        domain: The project's name.
    """
    yield _bronze(plan, connection, domain)
    yield _silver(plan, domain)
    yield _detail(plan, plans, domain)
    if plan.mart:
        yield _mart(plan, plan.mart, domain)
    for rollup in plan.rollups:
        yield _rollup(plan, rollup.name, rollup.category, domain)


def row_key(plan: TablePlan) -> tuple[str, ...]:
    """Return the columns that identify a row in Silver and Gold."""
    return plan.key or (_row_id(plan),)


def _row_id(plan: TablePlan) -> str:
    return naming.unique(_ROW_ID, [column.name for column in plan.profile.columns])


def _bronze(plan: TablePlan, connection: str, domain: str) -> Model:
    file = plan.profile.path.name
    landed = ", ".join(
        f"{identifier(column.landed)}::{sql_type(column.type)}" for column in plan.profile.columns
    )
    columns = [
        Column(
            identifier(column.landed),
            sql_type(column.type),
            column.name,
            f"Header {shown(column.header)}; {comments.figures(column)}",
        )
        for column in plan.profile.columns
    ]
    columns += [
        Column(_RAW_ID, "TEXT", _RAW_ID, "The landed row"),
        Column(_EXTRACTED_AT, "TIMESTAMPTZ", _EXTRACTED_AT, "When it was read from the file"),
    ]
    return Model(
        "bronze", domain, plan.name, plan,
        description=f"The rows of {plain(file)} as they landed. The figures beside the columns "
        f"are of the {plan.profile.rows:,} rows that it had when this model was written.",
        grain=(_RAW_ID,),
        audits=(_not_null_audit((_RAW_ID,)), _unique_audit((_RAW_ID,))),
        inputs=(Input("landed", f"@bronze({connection}, {plan.name}, {landed})", ("*",)),),
        columns=tuple(columns),
    )  # fmt: skip


def _silver(plan: TablePlan, domain: str) -> Model:
    columns = [
        Column(
            _cleaned(column), refined_type(column.type), column.name, comments.meaning(plan, column)
        )
        for column in plan.profile.columns
    ]
    read = [column.name for column in plan.profile.columns]
    if not plan.key:
        columns.insert(0, _row_id_column(plan, _RAW_ID))
        read.append(_RAW_ID)
    return Model(
        "silver", domain, plan.name, plan,
        description=f"{plan.label}, cleaned: text without spaces around it, empty "
        "text as NULL, timestamps in UTC.",
        grain=row_key(plan),
        audits=tuple(_silver_audits(plan)),
        inputs=(Input("landed", f"bronze_{domain}.{plan.name}", tuple(read)),),
        columns=tuple(columns),
    )  # fmt: skip


def _silver_audits(plan: TablePlan) -> Iterator[str]:
    filled = [column.name for column in plan.profile.columns if column.nulls == 0]
    if not plan.key:
        filled.insert(0, _row_id(plan))
    if filled:
        yield _not_null_audit(filled)
    yield _unique_audit(row_key(plan))
    for column in plan.profile.columns:
        if column.name not in plan.key and roles.is_closed(column) and _is_category(plan, column):
            values = ", ".join(
                sql_literal(value) if isinstance(value, str) else str(value)
                for value, _ in sorted(column.values)
            )
            yield f"accepted_values(column := {column.name}, is_in := ({values}))"


def _is_category(plan: TablePlan, column: ColumnProfile) -> bool:
    # A text that does not survive being put on one line cannot be named in the audit.
    return plan.roles[column.name] is Role.CATEGORY and all(
        not isinstance(value, str) or plain(value) == value for value, _ in column.values
    )


def _not_null_audit(columns: Sequence[str]) -> str:
    return f"not_null(columns := {columns[0] if len(columns) == 1 else _listed(columns)})"


def _listed(columns: Sequence[str]) -> str:
    return f"({', '.join(columns)})"


def _unique_audit(key: tuple[str, ...]) -> str:
    if len(key) == 1:
        return f"unique_values(columns := {key[0]})"
    return f"unique_combination_of_columns(columns := {_listed(key)})"


def _row_id_column(plan: TablePlan, expression: str) -> Column:
    comment = f"The landed row: no column of the file identifies a {comments.thing(plan)}"
    return Column(expression, "TEXT", _row_id(plan), comment)


def _detail(plan: TablePlan, plans: dict[str, TablePlan], domain: str) -> Model:
    base = plan.name
    columns = [
        Column(f"{base}.{c.name}", refined_type(c.type), c.name, comments.meaning(plan, c))
        for c in plan.profile.columns
    ]
    read = [column.name for column in plan.profile.columns]
    if not plan.key:
        columns.insert(0, _row_id_column(plan, f"{base}.{_row_id(plan)}"))
        read.insert(0, _row_id(plan))
    inputs = [Input(base, f"silver_{domain}.{base}", tuple(read))]
    joins = []
    for lookup in plan.lookups:
        other = plans[lookup.table]
        name = naming.unique(lookup.table, [part.name for part in inputs])
        there = (lookup.key, *(column for column, _ in lookup.columns))
        inputs.append(Input(name, f"silver_{domain}.{lookup.table}", there))
        joins.append(Join(name, f"{name}.{lookup.key} = {base}.{lookup.column}"))
        columns += [
            Column(
                f"{name}.{column}",
                refined_type(other.profile.column(column).type),
                here,
                comments.looked_up(lookup, column),
            )
            for column, here in lookup.columns
        ]
    key = row_key(plan)
    return Model(
        "gold", domain, base, plan,
        description=f"{naming.title(base)}, one row for each {comments.row_of(plan)}"
        + (", with what other files say of it." if joins else "."),
        grain=key,
        audits=(_not_null_audit(key), _unique_audit(key)),
        inputs=tuple(inputs), columns=tuple(columns), joins=tuple(joins),
    )  # fmt: skip


def _mart(plan: TablePlan, mart: Mart, domain: str) -> Model:
    time = plan.profile.column(mart.time)
    groups = [
        Column(
            _period(time, mart), "TIMESTAMP" if mart.unit == "hour" else "DATE", mart.period,
            comments.period(time, mart),
        )
    ]  # fmt: skip
    if mart.category:
        category = plan.profile.column(mart.category)
        groups.append(
            Column(
                mart.category, refined_type(category.type), mart.category, comments.group(category)
            )
        )
    split = f" and {mart.category}" if mart.category else ""
    return _grouped(
        plan, mart.name, domain, groups, (mart.time, mart.category),
        description=f"{plan.label} by {mart.unit}{split}.",
        where=f"{mart.time} IS NOT NULL" if time.nulls else None,
        not_null=(mart.period,),
    )  # fmt: skip


def _period(time: ColumnProfile, mart: Mart) -> str:
    moment = time.name
    if time.type.name == types.TIMESTAMP_TZ:
        moment = f"({moment} AT TIME ZONE 'UTC') AT TIME ZONE @time_zone"
    return f"DATE_TRUNC('{mart.unit.upper()}', {moment})"


def _rollup(plan: TablePlan, name: str, category: str, domain: str) -> Model:
    column = plan.profile.column(category)
    group = Column(category, refined_type(column.type), category, comments.group(column))
    return _grouped(
        plan, name, domain, [group], (category,),
        description=f"{plan.label} by {category}.",
        where=None, not_null=(category,) if column.nulls == 0 else (),
    )  # fmt: skip


def _grouped(
    plan: TablePlan,
    name: str,
    domain: str,
    groups: list[Column],
    read: tuple[str | None, ...],
    *,
    description: str,
    where: str | None,
    not_null: tuple[str, ...],
) -> Model:
    grain = tuple(column.name for column in groups)
    count = plan.row_count
    columns = [*groups, Column("COUNT(*)", "BIGINT", count, f"Rows of {plan.name}")]
    for measure in plan.measures:
        columns += _aggregated(plan, measure)
    needed = dict.fromkeys(c for c in (*read, *(m.column for m in plan.measures)) if c)
    return Model(
        "gold", domain, name, plan,
        description=description,
        grain=grain,
        audits=(
            _not_null_audit((*not_null, count)),
            _unique_audit(grain),
        ),
        inputs=(Input(plan.name, f"silver_{domain}.{plan.name}", tuple(needed)),),
        columns=tuple(columns),
        where=where,
        group_by=tuple(str(position) for position in range(1, len(groups) + 1)),
    )  # fmt: skip


def _aggregated(plan: TablePlan, measure: Measure) -> list[Column]:
    column = plan.profile.column(measure.column)
    label = naming.title(measure.column)
    if measure.aggregate is Aggregate.SUM:
        comment = f"{label}, summed"
        return [Column(f"SUM({column.name})", _total_type(column), measure.name, comment)]
    average = Column(f"AVG({column.name})", "DOUBLE", measure.name, f"{label}, averaged over rows")
    if measure.weight == plan.row_count:
        return [average]
    weight = Column(
        f"COUNT({column.name})", "BIGINT", measure.weight, f"Rows with a {measure.column}"
    )
    return [average, weight]


def _total_type(column: ColumnProfile) -> str:
    if column.type.name == types.DECIMAL:
        return f"DECIMAL(38, {column.type.scale})"
    if column.type.name == types.NUMBER:
        return "DOUBLE"
    largest = max(abs(column.minimum), abs(column.maximum)) * column.rows * _ROOM_TO_GROW
    return "BIGINT" if largest <= _BIGGEST else "DECIMAL(38, 0)"


def _cleaned(column: ColumnProfile) -> str:
    if column.is_text:
        return f"NULLIF(TRIM({column.name}), '')"
    if column.type.name == types.TIMESTAMP_TZ:
        return f"({column.name} AT TIME ZONE 'UTC')"
    return column.name
