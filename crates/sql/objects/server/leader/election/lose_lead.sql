-- Purpose: notes that another orchestrator leads. This one writes nothing more, and ends.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.lose_lead()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  update pg_temp.leader_state set stop = 'another orchestrator has taken the lead', deposed = true;
end
$function$;
