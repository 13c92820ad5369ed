-- Purpose: processes the answer of a helper.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the sessions' rows of async.session.
create or replace function async.take_helper_result(
  in_op text, in_target text, in_ids bigint[], in_value text, in_error text
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  -- The message of dblink about a connection says nothing, and its detail has the cause.
  v_error constant text := regexp_replace(split_part(in_error, E'\nCONTEXT: ', 1),
    E'^(08001: )[^\n]*\nDETAIL: ', E'\\1');
  v_worker record;
begin
  if in_op = 'probe' then
    if in_error is null then
      update pg_temp.leader_target t
      set health = 'ok', version = in_value::int, met_at = clock_timestamp(),
          failures = case when t.session_failures > 0 then t.failures else 0 end,
          down_since = case when t.session_failures > 0 then t.down_since end
      where t.target = in_target;
      perform async.log_quiet('NOTICE', format('target "%s" is back', in_target))
      from pg_temp.leader_target t
      where t.target = in_target and t.last_error is not null and t.session_failures = 0;
      update pg_temp.leader_target t set last_error = null where t.target = in_target and t.session_failures = 0;
    else
      perform async.note_target_failure(in_target, v_error);
    end if;
    return;
  end if;

  if in_op = 'fence' then
    perform async.take_fence_result(in_target, case when in_error is null then in_value::jsonb else (
      select jsonb_agg(jsonb_build_object('id', i, 'state', 'unreached', 'error', v_error)) from unnest(in_ids) i) end);
    return;
  end if;
  if in_error is not null then
    perform async.note_target_failure(in_target, v_error);
    -- A session that cannot be reached for a cancel is fenced. A fence is retried until it
    -- succeeds.
    for v_worker in
      select s.worker from pg_temp.leader_worker s
      where s.session_id = any (in_ids) and s.state = 'running' and in_error is not null and s.cancels > 1
    loop
      perform async.lose_session(v_worker.worker);
    end loop;
  end if;
end
$function$;
