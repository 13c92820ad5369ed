-- Purpose: takes the tasks that async.note_tasks has noted.
-- Returns: bigint[]; empty for none.
-- Raises: nothing.
-- Locks: none.
create or replace function async.noted_tasks(in_what text) returns bigint[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_noted constant text := rtrim(coalesce(current_setting('pgasync.' || in_what, true), ''), ',');
begin
  perform set_config('pgasync.' || in_what, '', false);
  return string_to_array(v_noted, ',')::bigint[];
end
$function$;
