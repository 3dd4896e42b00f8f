-- What we made on a real Airbyte: its id there, and what we sent it last.
create table lavra.airbyte_resource (
    workspace_id text not null,
    kind text not null check (kind in ('definition', 'source', 'destination', 'connection')),
    name text not null,
    resource_id text,                        -- null: about to be created, or died while at it
    applied jsonb not null default '{}',     -- what we sent: {field: {"value"} or {"digest"}}
    observed jsonb not null default '{}',    -- what the server said right after
    streams jsonb not null default '[]',     -- of a connection: names that the source had then
    salt text not null,                      -- of the digests
    updated_at timestamptz not null default clock_timestamp(),
    primary key (workspace_id, kind, name)
);
