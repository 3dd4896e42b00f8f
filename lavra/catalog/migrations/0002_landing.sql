-- A stream that lands in Bronze: what is complete, where the next run goes on, what it looks like.
create table lavra.landing_stream (
    namespace text not null,
    stream text not null,
    connection text not null,                       -- its owner: no other connection may land it
    generation_id bigint not null default 0,        -- of the newest complete sync
    minimum_generation_id bigint not null default 0,-- readers see files of this one and later
    state jsonb,                                    -- where an incremental read goes on
    columns jsonb not null default '[]',            -- [{"name", "type"}], without _airbyte_*
    landed_at timestamptz,                          -- end of the newest complete sync
    primary key (namespace, stream)
);

-- One attempt to land a stream.
create table lavra.landing_sync (
    id bigint generated always as identity primary key,
    namespace text not null,
    stream text not null,
    sync_mode text not null,
    generation_id bigint not null,
    file_prefix text not null unique,               -- of every file that it may have written
    started_at timestamptz not null default clock_timestamp(),
    ended_at timestamptz,
    status text not null default 'running'
        check (status in ('running', 'succeeded', 'failed', 'abandoned')),
    row_count bigint,
    bytes bigint,
    misfit_count bigint,                            -- values that landed as null
    skipped_count bigint,                           -- malformed rows left out on request
    schema_changes jsonb not null default '[]',     -- [{"column", "change", "from", "to"}]
    error text,
    cleaned_at timestamptz,                         -- when the files of one that failed were removed
    foreign key (namespace, stream) references lavra.landing_stream (namespace, stream)
);
create index on lavra.landing_sync (namespace, stream, id desc);
create index on lavra.landing_sync (status) where status = 'running';

-- The manifest: the files that count. A file that is not here was never landed.
create table lavra.landing_file (
    path text primary key,                          -- below the lake's root
    namespace text not null,
    stream text not null,
    generation_id bigint not null,
    sync_id bigint not null references lavra.landing_sync (id),
    row_count bigint not null,
    bytes bigint not null,
    replaced_at timestamptz,                        -- when a newer generation took its place
    foreign key (namespace, stream) references lavra.landing_stream (namespace, stream)
);
create index on lavra.landing_file (namespace, stream, generation_id, path);
