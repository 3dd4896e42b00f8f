-- What a file holds, where that is not the Bronze contract: one row for each schema of a stream.
create table lavra.landing_schema (
    id bigint generated always as identity primary key,
    namespace text not null,
    stream text not null,
    dialect text not null check (dialect in ('gcs_legacy', 'v2')),
    digest text not null,                           -- of the schema
    arrow_schema bytea not null,                    -- the file's schema, as Arrow's IPC writes it
    unique (namespace, stream, dialect, digest),
    foreign key (namespace, stream) references lavra.landing_stream (namespace, stream)
);

alter table lavra.landing_file
    add column schema_id bigint references lavra.landing_schema (id), -- null: the contract's own
    add column origin text,                         -- Airbyte's file, where this is our copy of it
    add column compacted_into text references lavra.landing_file (path),
    add column is_compaction boolean not null default false,
    add column deleted_at timestamptz;              -- when the object went; the row tells what it was
create index on lavra.landing_file (compacted_into) where compacted_into is not null;

-- The newest job of a real Airbyte whose files of this stream are in the manifest.
alter table lavra.landing_stream add column airbyte_job_id bigint;
