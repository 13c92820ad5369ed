-- Purpose: how many values fall into each bucket of a histogram. A value falls into the first bucket
--   whose bound is not below it.
-- Returns: bigint[], one more than the bounds of the metric.
-- Raises: nothing.
-- Locks: none.
create or replace function async.metric_buckets(in_metric text, in_values float8[]) returns bigint[]
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select array_agg(c.observations order by c.place)
  from (
    select n.place, count(v.bucket) as observations
    from generate_series(0, cardinality(async.metric_bounds(in_metric))) as n(place)
    left join (
      select (select count(*) from unnest(async.metric_bounds(in_metric)) as b(bound) where b.bound < o.value) as bucket
      from unnest(in_values) as o(value)
    ) v on v.bucket = n.place
    group by n.place
  ) c
$function$;
