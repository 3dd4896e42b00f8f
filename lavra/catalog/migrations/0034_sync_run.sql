-- A run of a connector is many syncs, one a checkpoint: the first of them names the run.
alter table lavra.landing_sync add column run_id bigint references lavra.landing_sync (id);
