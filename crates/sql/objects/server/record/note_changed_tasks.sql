-- Purpose: notes, in the leader session of the Rust engine, tasks that a routine or a trigger
--   changed. The SQL engine reads them by itself.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.note_changed_tasks(in_ids bigint[])
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_seen text := current_setting('pgasync.changed_tasks', true);
begin
  -- A setting, and not a table: a rollback undoes the note of its transaction.
  if cardinality(in_ids) > 0 and to_regclass('pg_temp.leader_state') is null then
    perform set_config('pgasync.changed_tasks', concat_ws(',', nullif(v_seen, ''), array_to_string(in_ids, ',')), false);
  end if;
end
$function$;
