-- Purpose: notes when the leader has to fire schedules next (null: there is none). It is a setting of
--   the session, as in async.is_due.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.note_next_firing(in_at timestamptz) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  if in_at is null then
    perform set_config('pgasync.fires', '', false);
  else
    perform async.note_done('fires', in_at);
  end if;
end
$function$;
