-- The airline's maintenance system, as a transactional application would have it.
create table stations (
    station_code text primary key,          -- IATA or FAA code
    name text not null,
    latitude double precision not null,
    longitude double precision not null,
    time_zone text not null
);
create table technicians (
    technician_id bigint primary key,
    name text not null,
    licence text not null,                  -- A, B1, B2, C (EASA Part-66 categories)
    station_code text not null references stations,
    active boolean not null default true,
    updated_at timestamptz not null default clock_timestamp()
);
create table aircraft (
    aircraft_id bigint primary key,
    tail_number text not null unique,
    manufacturer text not null,
    model text not null,
    year_built integer,
    base_station text not null references stations,
    status text not null,                   -- active, in_check, grounded
    flight_hours numeric(10, 1) not null,
    flight_cycles integer not null,
    a_check_due numeric(10, 1) not null,    -- in flight hours, as the other three
    b_check_due numeric(10, 1) not null,
    c_check_due numeric(10, 1) not null,
    d_check_due numeric(10, 1) not null,
    updated_at timestamptz not null default clock_timestamp()
);
create table components (
    component_id bigint primary key,
    aircraft_id bigint not null references aircraft,
    ata_chapter smallint not null,          -- ATA 100 chapter
    part_number text not null,
    serial_number text not null,
    installed_at timestamptz not null,
    installed_hours numeric(10, 1) not null,
    removed_at timestamptz,
    removed_hours numeric(10, 1),
    removal_reason text,                    -- failure, scheduled
    updated_at timestamptz not null default clock_timestamp()
);
create table work_orders (
    work_order_id bigint primary key,
    aircraft_id bigint not null references aircraft,
    station_code text not null references stations,
    kind text not null,                     -- a_check, b_check, c_check, d_check, unscheduled
    status text not null,                   -- open, in_progress, deferred, closed
    opened_at timestamptz not null,
    closed_at timestamptz,
    tasks integer not null,                 -- events it needs before it can be closed
    updated_at timestamptz not null default clock_timestamp()
);
create table maintenance_events (
    event_id bigint primary key,
    work_order_id bigint not null references work_orders,
    aircraft_id bigint not null references aircraft,
    station_code text not null references stations,
    technician_id bigint not null references technicians,
    component_id bigint references components,
    kind text not null,                     -- defect, inspection, rectification, replacement, deferral
    ata_chapter smallint not null,
    description text not null,
    man_hours numeric(6, 2) not null,
    occurred_at timestamptz not null,
    updated_at timestamptz not null default clock_timestamp()
);
create table deferrals (
    deferral_id bigint primary key,
    work_order_id bigint not null references work_orders,
    aircraft_id bigint not null references aircraft,
    ata_chapter smallint not null,
    mel_category text not null,             -- A, B, C, D: how long it may stay (minimum equipment list)
    deferred_at timestamptz not null,
    rectify_by timestamptz not null,
    rectified_at timestamptz,
    updated_at timestamptz not null default clock_timestamp()
);

create function touch() returns trigger language plpgsql as $$
begin
    new.updated_at := clock_timestamp();
    return new;
end $$;
