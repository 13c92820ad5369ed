-- Purpose: notes an observation of a histogram without labels in a setting of the session (the buckets,
--   then the sum), without a statement.
-- Returns: the setting.
-- Raises: nothing.
-- Locks: none.
create or replace function async.note_value(in_metric text, in_bounds float8[], in_value float8) returns text
language plpgsql
as $function$
declare
  v_name constant text := 'pgasync.' || in_metric;
  v_last constant int := cardinality(in_bounds) + 2;
  v_noted float8[] := coalesce(nullif(current_setting(v_name, true), '')::float8[], array_fill(0::float8, array[v_last]));
  v_at int := 1;
begin
  while v_at < v_last - 1 and in_bounds[v_at] < in_value loop
    v_at := v_at + 1;
  end loop;
  v_noted[v_at] := v_noted[v_at] + 1;
  v_noted[v_last] := v_noted[v_last] + in_value;
  return set_config(v_name, v_noted::text, false);
end
$function$;
