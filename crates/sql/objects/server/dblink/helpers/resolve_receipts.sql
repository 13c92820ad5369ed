-- Purpose: runs in a helper session, for a fence: resolves the receipts of sessions that are known to be
--   gone, over a connection to their server.
-- Returns: an array with task_id, run, and what is recorded: outcome (ok or error), error, and result (for a
--   task whose rows are kept).
-- Raises: the errors of the target; 08P01 for an unexpected answer. Nothing is resolved then.
-- Locks: none.
create or replace function async.resolve_receipts(in_conn text, in_sessions bigint[])
returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_receipt record;
  v_answer text;
  v_resolved jsonb := '[]';
begin
  for v_receipt in select o.* from async.open_receipts(in_sessions) o loop
    if v_resolved = '[]' then
      perform async.query_target(in_conn, async.void_settings());
    end if;
    v_answer := async.query_target(in_conn, v_receipt.query);
    if v_answer not in ('true', 'false') then
      raise exception 'the receipt of task % is in another database: %', v_receipt.task_id, left(v_answer, 100)
        using errcode = 'protocol_violation';
    end if;
    v_resolved := v_resolved || jsonb_build_object('task_id', v_receipt.task_id, 'run', v_receipt.run,
      'outcome', case v_answer when 'true' then 'error' else 'ok' end,
      'error', case v_answer when 'true' then v_receipt.voided end,
      'result', case v_answer when 'false' then v_receipt.result end);
  end loop;
  return v_resolved;
end
$function$;
