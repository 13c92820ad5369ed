-- Purpose: settles how a text that was sent unchanged ended, by the answer to the reset behind it:
--   it left its transaction open (25001); its outcome is unknown, because the connection was lost
--   and the text may have left a transaction open; or it succeeded. After any answer except a plain
--   success the session is not used again. Where the target has dblink, the query that closes its
--   connections is sent now.
-- Returns: whether the end is settled.
-- Raises: nothing.
-- Locks: none.
create or replace function async.settle_reset(in_worker int, in_ended bool, in_code text, in_error text)
returns bool
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_worker record;
  v_closing bool := false;
begin
  if not in_ended and in_code is null then
    return false;
  end if;
  select s.uncertain, s.conn, t.query, t.receipt, async.close_connections_query(s.dblink_schema) as close_connections into v_worker
  from pg_temp.leader_worker s left join async.task t on t.task_id = s.task_id
  where s.worker = in_worker;
  if (v_worker.uncertain or async.ends_session(in_code))
    and (v_worker.receipt or async.opens_transaction(v_worker.query))
  then
    perform async.note_query_error(in_worker, '08006', coalesce(in_error, 'the orchestrator was interrupted'));
    perform async.lose_session(in_worker);
    return true;
  end if;
  if in_code is null and not v_worker.uncertain and v_worker.close_connections is not null then
    v_closing := public.dblink_send_query(v_worker.conn, v_worker.close_connections) = 1;
  end if;
  update pg_temp.leader_worker s
  set state = 'ended', cleaning = v_closing, connections_closed = v_closing, result_read = false, since = clock_timestamp(),
      spent = s.spent or in_code is not null or v_worker.uncertain,
      outcome = case when in_code = '25001' then 'error' else 'ok' end,
      error = case when in_code = '25001'
        then 'the query left its transaction open: what it did was rolled back' end
  where s.worker = in_worker;
  return true;
end
$function$;
