-- Purpose: takes what async.note_value has noted of a histogram.
-- Returns: a row for async.add_metrics; null if nothing was noted.
-- Raises: nothing.
-- Locks: none.
create or replace function async.noted_values(in_metric text) returns async.metric
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_noted constant float8[] := nullif(current_setting('pgasync.' || in_metric, true), '')::float8[];
  v_last constant int := cardinality(v_noted);
begin
  perform set_config('pgasync.' || in_metric, '', false);
  if v_noted is null then
    return null;
  end if;
  return row(in_metric, '{}', 0, v_noted[v_last], v_noted[1:v_last - 1]::bigint[])::async.metric;
end
$function$;
