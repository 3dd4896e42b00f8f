-- Objects that a bucket told of, kept until what depends on them has been landed and modelled.
create table lavra.landing_event (
    id text not null,                               -- SHA-256 of the event's source and id
    connection text not null,                       -- whose files they are
    object text not null,                           -- gs://bucket/name
    received_at timestamptz not null default clock_timestamp(),
    handled_at timestamptz,
    primary key (id, connection)
);
create index on lavra.landing_event (connection) where handled_at is null;
