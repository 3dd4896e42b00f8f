-- What SQLMesh's tables are worth: which evaluation of a table ended with passed audits, what it
-- had read, and which evaluations began and have not ended. Written by lavra/releases/ledger.py.
create sequence lavra.evaluation_number;
create table lavra.evaluation (
    physical_table text primary key,           -- "schema.table" in DuckLake
    model text not null,                       -- SQLMesh's name of it
    number bigint,                             -- rises with every finished evaluation of any table
    finished_at timestamptz,                   -- after the audits passed; null: never
    lake_snapshot bigint,                      -- DuckLake's newest snapshot at that moment
    inputs jsonb not null default '{}',        -- what it read: {name: what it was then}
    audits jsonb not null default '[]',        -- [{"name", "passed", "blocking", "passed_at"}]
    pending_since timestamptz,                 -- an evaluation began and has not finished
    pending_start timestamptz,                 -- ... of this interval
    pending_end timestamptz,
    pending_reason text                        -- what stopped it, when it could still say so
);

-- Why an environment was not released when it was last tried; empty when it was.
create table lavra.release_blocked (
    environment text not null,
    model text not null,
    reason text not null,
    remedy text not null,
    blocked_at timestamptz not null default clock_timestamp(),
    primary key (environment, model)
);

-- `lavra release make` is a cause of its own.
alter table lavra.release drop constraint release_cause_check;
alter table lavra.release
    add constraint release_cause_check check (cause in ('plan', 'run', 'make', 'rollback'));
