-- API keys. The secret half of a key is shown once and kept only as its SHA-256: it is 256 random
-- bits, so there is nothing to guess that a slow hash would protect.
create table lavra.api_key (
    id text primary key,                              -- the half that may be shown
    name text not null,                               -- who asks with it; kept by a rotation
    secret_hash bytea not null check (length(secret_hash) = 32),
    roles text[] not null default '{}',
    environments text[],                              -- null: all
    description text not null default '',
    created_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz,                           -- null: never
    revoked_at timestamptz,
    replaces text references lavra.api_key (id)       -- the key that a rotation ends
);
create index on lavra.api_key (name);

create function lavra.notify_api_key() returns trigger language plpgsql as $$
begin
    perform pg_notify('lavra_api_key', '');
    return null;
end $$;
create trigger api_key_changed after insert or update or delete on lavra.api_key
    for each statement execute function lavra.notify_api_key();

-- Each query, refusal and key event. `id` is made with the record: what is shipped twice is kept
-- once.
create table lavra.access_log (
    id uuid primary key,
    at timestamptz not null,
    event text not null check (event in ('query', 'refusal', 'key')),
    outcome text not null,                            -- finished, failed, cancelled, refused, ...
    code text,                                        -- of the error
    query_id text,
    caller text,
    kind text,                                        -- key, token, superset, loopback
    key_id text,
    client text,                                      -- address
    route text,
    environment text,
    snapshot text,
    tables text[],
    columns text[],
    row_count bigint,
    bytes bigint,
    duration_ms double precision,
    cached boolean,
    format text,
    sql text,                                         -- or null, by LAVRA_ACCESS_LOG_SQL
    sql_sha256 text,
    detail text
);
create index on lavra.access_log (at desc);
create index on lavra.access_log (caller, at desc);

-- Append-only: nothing is changed, and only retention deletes.
create function lavra.keep_access_log() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' and old.at < clock_timestamp() - interval '1 day' then
        return old;
    end if;
    raise exception 'the access log is append-only';
end $$;
create trigger access_log_kept before update or delete on lavra.access_log
    for each row execute function lavra.keep_access_log();
create trigger access_log_not_emptied before truncate on lavra.access_log
    for each statement execute function lavra.keep_access_log();
