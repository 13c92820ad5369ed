-- Purpose: notes that receipts were deleted at their target. Further ones are due at once.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the rows of async.receipt that it deletes.
create or replace function async.forget_receipts(in_task_ids bigint[], in_runs int[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  delete from async.receipt r using unnest(in_task_ids, in_runs) as k(task_id, run)
  where r.task_id = k.task_id and r.run = k.run;
  perform set_config('pgasync.receipts_after', '', false);
end
$function$;
