"""Random queries over the tables of ``random_policies``, hidden ones included."""

from __future__ import annotations

import random

COLUMNS = {
    "gold_test.customers": ["id", "name", "email", "phone", "state", "tier", "signed_on"],
    "gold_test.orders": ["id", "customer_id", "amount", "placed_at", "status", "note"],
    "gold_other.events": ["id", "kind", "payload", "weight"],
}
FIXED = [
    "show tables",
    "show schemas",
    (
        "select table_schema, table_name, column_name, data_type, ordinal_position "
        "from information_schema.columns"
    ),
    "show columns from gold_test.customers",
    "describe gold_test.orders",
    "select count(*) from gold_test.customers",
    (
        "select c.state, count(*), sum(o.amount) from gold_test.customers c "
        "left join gold_test.orders o on o.customer_id = c.id group by c.state"
    ),
    "with customers as (select 1 as id) select * from customers",
    (
        "with c as (select * from gold_test.customers) select count(*) from c where id in "
        "(select customer_id from gold_test.orders)"
    ),
]


def make_query(chance: random.Random) -> str:
    """Return a query; it may name what its caller does not see, and it may fail."""
    if chance.random() < 0.1:
        return chance.choice(FIXED)
    shapes = [_plain, _aggregate, _window, _join, _subquery, _set, _cte, _star, _careless]
    return chance.choice(shapes)(chance)


def _table(chance: random.Random) -> tuple[str, list[str]]:
    name = chance.choice(list(COLUMNS))
    return name, COLUMNS[name]


def _predicate(chance: random.Random, columns: list[str], alias: str = "") -> str:
    column = alias + chance.choice(columns)
    return chance.choice(
        [
            f"{column} is not null",
            f"{column} is null",
            f"cast({column} as varchar) like '%1%'",
            f"coalesce(cast({column} as varchar), '') <> 'SP'",
            f"{alias}id % {chance.randint(2, 5)} = 0",
            f"{alias}id > {chance.randint(0, 40)} or {column} is null",
        ]
    )


def _plain(chance: random.Random) -> str:
    table, columns = _table(chance)
    chosen = ", ".join(chance.sample(columns, chance.randint(1, 3)))
    distinct = chance.choice(["", "distinct "])
    return f"select {distinct}{chosen} from {table} where {_predicate(chance, columns)}"


def _aggregate(chance: random.Random) -> str:
    table, columns = _table(chance)
    key, value = chance.sample(columns, 2)
    having = chance.choice(["", " having count(*) > 2"])
    return (
        f"select {key}, count(*), count(distinct {value}), min({value}), max(id) "
        f"from {table} group by {key}{having}"
    )


def _window(chance: random.Random) -> str:
    table, columns = _table(chance)
    key = chance.choice(columns)
    function = chance.choice(
        ["row_number()", "count(*)", "sum(id)", "lag(id)", "ntile(3)", "first_value(id)"]
    )
    return f"select id, {function} over (partition by {key} order by id) as w from {table}"


def _join(chance: random.Random) -> str:
    kind = chance.choice(["join", "left join", "right join", "full join"])
    return (
        f"select c.id, o.id, {chance.choice(['o.amount', 'c.state', 'o.note', 'c.email'])} "
        f"from gold_test.customers c {kind} gold_test.orders o on o.customer_id = c.id "
        f"where {_predicate(chance, COLUMNS['gold_test.orders'], 'o.')}"
    )


def _subquery(chance: random.Random) -> str:
    table, columns = _table(chance)
    other, _ = _table(chance)
    return chance.choice(
        [
            f"select id from {table} where id in (select id from {other} where id > 5)",
            (
                f"select id from {table} t where not exists "
                f"(select 1 from {other} o where o.id = t.id + 1)"
            ),
            f"select (select count(*) from {other}) as n, {chance.choice(columns)} from {table}",
            (
                f"select max(n) from (select {columns[1]}, count(*) as n from {table} "
                f"group by {columns[1]}) q"
            ),
        ]
    )


def _set(chance: random.Random) -> str:
    (left, _), (right, _) = _table(chance), _table(chance)
    kind = chance.choice(["union", "union all", "except", "intersect"])
    return f"select id from {left} {kind} select id from {right}"


def _cte(chance: random.Random) -> str:
    table, columns = _table(chance)
    return (
        f"with x as (select * from {table}), y as (select {chance.choice(columns)} as v from x) "
        "select v, count(*) from y group by v"
    )


def _star(chance: random.Random) -> str:
    table, _ = _table(chance)
    return chance.choice(
        [
            f"select * from {table}",
            f"select t.* from {table} as t where id < 20",
            f"select * from {table} order by id desc limit {chance.randint(0, 9)}",
            f"select count(*) from (select distinct * from {table}) d",
        ]
    )


def _careless(chance: random.Random) -> str:
    return chance.choice(
        [
            "select sum(cast(payload as int)) from gold_other.events",
            "select id from gold_other.events where cast(payload as int) > 0",
            "select max(100 / weight) from gold_other.events",
            "select id from gold_test.customers where 10 / tier > 1",
            "select count(*) from gold_test.orders where cast(note as int) = 12",
            "select arrow_cast(state, 'Int32') from gold_test.customers",
        ]
    )
