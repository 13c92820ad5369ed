-- Purpose: removes sessions that are gone from the registry. A session with the receipt of a run that is not
--   recorded stays, so that the next leader finds the server of the receipt, until the upkeep removes it.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the rows of async.session.
create or replace function async.unregister_sessions(in_sessions bigint[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  delete from async.session s
  where s.session_id = any (in_sessions)
    and not exists (
      select from async.receipt r
      join async.task t on t.task_id = r.task_id and t.run = r.run
      where r.session_id = s.session_id
        and t.processed is null and t.yielded is null and t.consumed is not null);
  update async.session s set settled = true where s.session_id = any (in_sessions) and not s.settled;
end
$function$;
