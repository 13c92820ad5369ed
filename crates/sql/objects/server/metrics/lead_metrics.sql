-- Purpose: publishes the counters of the Rust engine, which keeps them itself. Writes only changed rows.
--   Counters of older epochs are deleted.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the rows of async.metric.
create or replace function async.lead_metrics(in_epoch bigint, in_metrics async.metric[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  delete from async.metric m where m.epoch <> in_epoch;
  insert into async.metric as m (metric, labels, epoch, value, buckets)
  select n.metric, n.labels, in_epoch, n.value, n.buckets
  from unnest(in_metrics) n
  -- A condition of "do update" would lock unchanged rows, which writes WAL.
  where not exists (
    select from async.metric o
    where o.metric = n.metric and o.labels = n.labels and (o.value, o.buckets) is not distinct from (n.value, n.buckets))
  on conflict on constraint metric_pkey do update set value = excluded.value, buckets = excluded.buckets;
end
$function$;
