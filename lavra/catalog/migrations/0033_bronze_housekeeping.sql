-- Small files of Bronze written anew as one: by a sync of mode 'compaction', which lands nothing.
alter table lavra.landing_file add column compacted_at timestamptz;
create index on lavra.landing_file (namespace, stream) where deleted_at is null;
