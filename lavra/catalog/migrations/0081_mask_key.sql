-- The secret of the access policy's mask `hash`, one for the lake, so that equal values have equal
-- hashes in every table, release and service. Two random UUIDs are 244 random bits.
create table lavra.mask_key (
    one boolean primary key default true check (one),
    secret bytea not null check (length(secret) = 32)
);
insert into lavra.mask_key (secret)
values (decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'));
