-- Purpose: returns the noted tasks, and forgets them.
-- Returns: the ids of the tasks.
-- Raises: nothing.
-- Locks: none.
create or replace function async.take_changed_tasks()
returns bigint[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_seen text := current_setting('pgasync.changed_tasks', true);
begin
  if coalesce(v_seen, '') = '' then
    return '{}';
  end if;
  perform set_config('pgasync.changed_tasks', '', false);
  return array(select distinct i::bigint from unnest(string_to_array(v_seen, ',')) i);
end
$function$;
