-- Statements that must mean the same after Superset has rewritten them.
select strpos('abc', 'b'), median(x), string_agg(cast(x as varchar), ',' order by x) from
    (values (1), (2), (4)) t(x);
select bool_and(x > 0), var_pop(x), stddev(x), approx_distinct(x) from (values (1), (2))
    t(x);
select to_char(timestamp '2024-01-02 03:04:05', '%Y/%m/%d'), date_part('dow', date
    '2024-01-07');
select 'abc' ~ '^a', 'ABC' ilike 'a%', isnan(0.0 / 1), 7 % 4, -7 / 2, 7.0 / 2;
select date_bin(interval '15 minutes', timestamp '2024-01-01 10:07:00', timestamp
    '1970-01-01');
select x, row_number() over (partition by x % 2 order by x desc nulls last) from (values
    (1), (2), (3)) t(x) order by x;
select count(*) filter (where x > 1), sum(distinct x) from (values (1), (2), (2)) t(x);
with recursive n as (select 1 as i union all select i + 1 from n where i < 4) select sum(i)
    from n;
select x from (values (1), (2), (null)) t(x) order by x desc nulls last limit 2 offset 1;
select case when x is distinct from null then 'a' else 'b' end from (values (1)) t(x);
select regexp_replace('a1b2', '[0-9]', '#', 'g'), split_part('a-b-c', '-', 2), lpad('7', 3,
    '0');
select extract(quarter from date '2024-05-01'), date '2024-01-31' + interval '1 month';
select array_length(make_array(1, 2, 3)), make_array(1, 2, 3)[2], cardinality(make_array(1));
select coalesce(null, 1), nullif(2, 2), greatest(1, 3), least(1, 3), round(2.567, 2),
    trunc(2.9);
select cast('12.345' as decimal(10, 2)), cast(1.9 as int), cast('t' as boolean), 5::double;
select arrow_typeof(arrow_cast(1, 'Int8')), to_timestamp('2024-01-01T00:00:00'), md5('a');
select percentile_cont(0.5) within group (order by x) from (values (1), (2), (9)) t(x);
select first_value(x order by x desc), last_value(x order by x desc) from (values (1), (2),
    (9)) t(x);
