-- A release: the one snapshot of the lake that an environment's readers see, for all tables.
-- The current release of an environment is the one with the highest id.
create table lavra.release (
    id bigint generated always as identity primary key,
    environment text not null,
    snapshot_id bigint not null,                      -- DuckLake's snapshot
    created_at timestamptz not null default clock_timestamp(),
    cause text not null check (cause in ('plan', 'run', 'rollback')),
    restored_release_id bigint references lavra.release (id),  -- what a rollback returned to
    git_commit text                                   -- of the project, when it is in git
);
create index on lavra.release (environment, id desc);

-- What a release holds: one row for each served (Gold) table.
create table lavra.release_table (
    release_id bigint not null references lavra.release (id) on delete cascade,
    schema_name text not null,                        -- as people query it, without environment
    table_name text not null,
    physical_schema text not null,                    -- where DuckLake holds it at the snapshot
    physical_table text not null,
    description text not null default '',
    columns jsonb not null,                           -- [{"name", "type", "description", "tags"}]
    grain jsonb not null default '[]',                -- column names that identify a row
    time_column text,                                 -- the model's time column, if it has one
    upstream jsonb not null default '[]',             -- "schema.table" of direct parents
    audits jsonb not null default '[]',               -- [{"name", "passed_at"}]
    row_count bigint not null,
    bytes bigint not null,                            -- of the table's data files at the snapshot
    data_through timestamptz,                         -- end of the latest loaded interval
    primary key (release_id, schema_name, table_name)
);

-- Listeners (the query service) hear of a release without polling.
create function lavra.notify_release() returns trigger language plpgsql as $$
begin
    perform pg_notify('lavra_release', new.environment || ':' || new.id);
    return null;
end $$;
create constraint trigger release_made after insert on lavra.release
    deferrable initially deferred for each row execute function lavra.notify_release();

-- Moves at every plan or run that starts to write; a plan computed at an older generation is stale.
create table lavra.lake_generation (
    one boolean primary key default true check (one),
    generation bigint not null
);
insert into lavra.lake_generation (generation) values (0);
