"""Random writers of a source, by seed."""

from __future__ import annotations

import random
import threading
import time

import psycopg

SCHEMA = """
create schema other;
create sequence version;
create table things (id int primary key, v bigint not null, name text, amount numeric(12,2),
                     seen timestamptz, body text);
create table other.parts (a int, b text, v bigint not null, flag boolean, primary key (a, b));
create table log (at bigint generated always as identity, tab text, op text, key text, digest text);
create function log_things() returns trigger language plpgsql as $$ begin
if tg_op = 'DELETE' or (tg_op = 'UPDATE' and old.id <> new.id) then
    insert into log (tab, op, key) values ('things', 'deleted', old.id);
end if;
if tg_op <> 'DELETE' then
    insert into log (tab, op, key, digest) values ('things', 'written', new.id, md5(concat_ws('|',
        new.v, coalesce(new.name, '~'), coalesce(new.amount::text, '~'),
        coalesce((extract(epoch from new.seen) * 1000000)::bigint::text, '~'),
        coalesce(new.body, '~'))));
end if;
return null; end $$;
create function log_parts() returns trigger language plpgsql as $$ begin
if tg_op = 'DELETE' or (tg_op = 'UPDATE' and (old.a, old.b) <> (new.a, new.b)) then
    insert into log (tab, op, key) values ('parts', 'deleted', old.a || '|' || old.b);
end if;
if tg_op <> 'DELETE' then
    insert into log (tab, op, key, digest) values ('parts', 'written', new.a || '|' || new.b,
        md5(concat_ws('|', new.v, coalesce(new.flag::text, '~'))));
end if;
return null; end $$;
create function log_truncate() returns trigger language plpgsql as $$ begin
insert into log (tab, op) values (tg_table_name, 'emptied'); return null; end $$;
create trigger log after insert or update or delete on things
    for each row execute function log_things();
create trigger log after insert or update or delete on other.parts
    for each row execute function log_parts();
create trigger emptied after truncate on things execute function log_truncate();
create trigger emptied after truncate on other.parts execute function log_truncate();
"""

_INSERTS = (
    (
        "insert into things (id, v, name, amount, seen, body) values ({n}, nextval('version'), "
        "'n{n}', {n}.25, now(), repeat('x{n}', 10)) on conflict do nothing"
    ),
    (
        "insert into other.parts (a, b, v, flag) values ({n}, 'b{m}', nextval('version'), {n} % 2 = 0) "  # noqa: E501
        "on conflict do nothing"
    ),
    (
        "insert into things (id, v, body) values ({n}, nextval('version'), (select string_agg("
        "md5(g::text), '') from generate_series(1, 200) g)) on conflict do nothing"
    ),
)
_CHANGES = (
    "update things set v = nextval('version'), name = 'u{m}' where id between {n} and {n} + 3",
    "update things set v = nextval('version'), name = null, amount = {m} where id = {n}",
    "update other.parts set v = nextval('version'), flag = null where a = {n}",
    "delete from things where id = {n}",
    "delete from other.parts where a between {n} and {n} + 2",
    (
        "update things set v = nextval('version'), id = {m} + 300 where id = {n} "
        "and not exists (select 1 from things where id = {m} + 300)"
    ),
    "update other.parts set v = nextval('version'), b = b || 'k' where a = {n} and length(b) < 8",
)
_RARE = ("truncate things", "truncate other.parts")
_COLUMNS = (
    "alter table things add column if not exists extra{k} text",
    "alter table things add column if not exists extra{k} int default {n}",
    "alter table things drop column if exists extra{k}",
    "alter table other.parts add column if not exists more{k} timestamptz",
    "alter table other.parts drop column if exists more{k}",
    "alter table things alter column amount type numeric(14,3)",
    "alter table things alter column amount type numeric(12,2)",
    "alter table other.parts rename column more{k} to more{k}_renamed",
)


class Writer(threading.Thread):
    """Writes random transactions until told to stop, or ``statements`` are done."""

    def __init__(
        self, url: str, seed: int, statements: int, *, columns: bool = False, pause_s: float = 0
    ) -> None:
        super().__init__(daemon=True)
        self._url, self._chance, self._statements = url, random.Random(seed), statements  # noqa: S311 - a test  # noqa: E501
        self._columns, self._pause_s = columns, pause_s
        self.stopping = threading.Event()
        self.done = 0
        self.refused = 0

    def run(self) -> None:
        while self.done < self._statements and not self.stopping.is_set():
            try:
                with psycopg.connect(self._url, autocommit=True) as connection:
                    connection.execute("set lock_timeout = '2s'")
                    while self.done < self._statements and not self.stopping.is_set():
                        self._transaction(connection)
            except (psycopg.OperationalError, psycopg.InterfaceError):  # the source was killed
                time.sleep(0.2)

    def _transaction(self, connection: psycopg.Connection) -> None:
        chance = self._chance
        rolls_back = chance.random() < 0.15
        try:
            with connection.transaction(force_rollback=rolls_back):
                for _ in range(chance.randint(1, 12)):
                    self.done += 1
                    connection.execute(self._statement())  # type: ignore[call-overload]
        except (psycopg.errors.DeadlockDetected, psycopg.errors.LockNotAvailable,
                psycopg.errors.UniqueViolation, psycopg.errors.UndefinedColumn,
                psycopg.errors.DuplicateColumn, psycopg.errors.NumericValueOutOfRange):  # fmt: skip
            self.refused += 1
        if self._pause_s:
            time.sleep(self._pause_s)

    def _statement(self) -> str:
        chance = self._chance
        draw = chance.random()
        kind = _INSERTS if draw < 0.5 else _CHANGES
        if draw > 0.998:
            kind = _RARE
        elif self._columns and draw > 0.99:
            kind = _COLUMNS
        return chance.choice(kind).format(
            n=chance.randint(1, 300), m=chance.randint(1, 300), k=chance.randint(1, 3)
        )
