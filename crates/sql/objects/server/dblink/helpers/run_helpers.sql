-- Purpose: performs the actions that may block for long in helper sessions to this server itself:
--   processes their answers, gives up late helpers, and sends what is due. One helper is reserved
--   for cancels, one for targets that have not failed yet. The others do everything that is due.
-- Returns: the number of answers.
-- Raises: nothing because of a single helper.
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
