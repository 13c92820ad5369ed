-- Purpose: adds to the counters of the leader. Counters of older epochs are deleted. A metric has at most
--   1,000 series, of which a histogram has one for each bucket, its sum and its count; labels that come
--   later share the target other.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the rows of async.metric.
create or replace function async.add_metrics(in_epoch bigint, in_metrics async.metric[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_series_max constant int := 1000;
  -- A task can end with so many statuses, each of which is a series of the target other.
  c_statuses constant int := 5;
  v_row async.metric;
  v_series int;
begin
  delete from async.metric m where m.epoch <> in_epoch;
  foreach v_row in array in_metrics loop
    update async.metric m
    set value = m.value + v_row.value, buckets = async.add_buckets(m.buckets, v_row.buckets)
    where m.metric = v_row.metric and m.labels = v_row.labels;
    continue when found;
    select count(*) into v_series from async.metric m where m.metric = v_row.metric;
    if v_row.labels ? 'target'
      and v_series + (case when v_row.labels ? 'status' then c_statuses else 1 end)
        >= c_series_max / (coalesce(cardinality(v_row.buckets), -1) + 2)
    then
      v_row.labels := jsonb_set(v_row.labels, '{target}', '"other"');
      if v_row.labels ? 'sqlstate_class' then
        v_row.labels := jsonb_set(v_row.labels, '{sqlstate_class}', '""');
      end if;
    end if;
    insert into async.metric as m (metric, labels, epoch, value, buckets)
    values (v_row.metric, v_row.labels, in_epoch, v_row.value, v_row.buckets)
    on conflict on constraint metric_pkey do update
    set value = m.value + excluded.value, buckets = async.add_buckets(m.buckets, excluded.buckets);
  end loop;
end
$function$;
