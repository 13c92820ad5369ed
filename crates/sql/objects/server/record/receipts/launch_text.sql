-- Purpose: the text of a launch of a task whose rows are kept, or that has a receipt, which it notes.
-- Returns: text.
-- Raises: nothing.
-- Locks: as async.note_receipt.
create or replace function async.launch_text(
  in_query text, in_keeps bool, in_receipt bool, in_task_id bigint, in_run int, in_session_id bigint, in_target text
) returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_bytes_max constant int := case when in_keeps then (select c.result_bytes_max from async.control c) end;
begin
  if in_receipt is not true then
    return async.keep_query(in_query, v_bytes_max);
  end if;
  return async.receipt_query(in_query, (select l.server_id from async.leader l),
    async.note_receipt(in_task_id, in_run, in_session_id, in_target), in_task_id, in_run, v_bytes_max);
end
$function$;
