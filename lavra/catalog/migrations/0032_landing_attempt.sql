-- What was last begun for a connection because it was due: a tick of its schedule, changed files.
create table lavra.landing_attempt (
    connection text primary key,
    tick timestamptz,                               -- of its schedule
    fingerprint text,                               -- of its files
    begun_at timestamptz not null,
    ended_at timestamptz                            -- null: it runs, or its process died
);
