-- Purpose: notes what is known of the receipts of sessions that are gone, with the lost workers and the
--   orphans whose runs they are (see async.resolve_receipts).
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.take_resolved_receipts(in_resolved jsonb)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  update pg_temp.leader_worker s
  set outcome = n.outcome, error = n.error, result = n.result, spent = true,
      sent = case when n.result is null then 'raw' else 'kept' end
  from jsonb_to_recordset(in_resolved) n(task_id bigint, run int, outcome text, error text, result text)
  where s.state = 'lost' and not s.recorded and s.task_id = n.task_id and s.run = n.run;
  update pg_temp.leader_orphan o set resolved = n.outcome, known = n.error, result = n.result
  from jsonb_to_recordset(in_resolved) n(task_id bigint, run int, outcome text, error text, result text)
  where not o.recorded and o.task_id = n.task_id and o.run = n.run;
end
$function$;
