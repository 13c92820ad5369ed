-- Purpose: notes that a session at a target could not be opened, or that the target did not read,
--   although a probe had reached the target. Until a session is opened, the success of a probe does
--   not reset the failures of the target, nor its backoff.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.note_session_failure(in_target text, in_error text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  update pg_temp.leader_target t set session_failures = t.session_failures + 1, identified = false
  where t.target = in_target;
  perform async.note_target_failure(in_target, in_error);
end
$function$;
