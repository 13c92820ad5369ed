-- Purpose: everything that may block for long, through sessions to this server itself,
--   asynchronously: processes what they found, gives up those that are stuck, and hands out what is
--   due. One is kept for cancels, one for targets never seen failing; the others do whatever is due.
--   One that is stuck counts until its backend is gone.
-- Returns: how many results came in.
-- Raises: nothing of a single helper's.
-- Locks: none.
create or replace function async.run_helpers()
returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_came int;
begin
  perform async.close_lost_helpers();
  v_came := async.read_helper_results();
  perform async.give_up_late_helpers();
  perform async.send_helper_ops();
  return v_came;
end
$function$;
