-- What the worker says of each stream, every second or so. The truth about what has landed is in
-- the lake, beside the rows; this is for people and alarms.
create table lavra.stream_status (
    stream text primary key,
    state text not null check (state in ('running', 'waiting', 'stopped', 'failed')),
    updated_at timestamptz not null default clock_timestamp(),
    started_at timestamptz not null default clock_timestamp(),
    last_commit timestamptz,                 -- when a batch was last landed
    source_committed_at timestamptz,         -- when its last change was committed at the source
    lag_seconds double precision,            -- from that commit to its landing
    events_per_second double precision not null default 0,
    bytes_per_event double precision,        -- of the source's log, lately
    row_count bigint not null default 0,     -- landed since the stream began
    quarantined bigint not null default 0,
    error text
);
