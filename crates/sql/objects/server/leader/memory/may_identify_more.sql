-- Purpose: whether a target whose last session failed may open one. A target that does not answer
--   keeps a worker for seconds, so such targets take half of the workers.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.may_identify_more()
returns bool
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  return (select count(*) from pg_temp.leader_worker s join pg_temp.leader_target t on t.target = s.target
      where s.state = 'identifying' and t.session_failures > 0)
    < (select greatest(c.workers / 2, 1) from async.control c);
end
$function$;
