-- Purpose: runs in the session of the upkeep of the SQL engine: deletes old receipts at a target, in one step
--   (async.old_receipts). A failure is logged.
-- Returns: the number of receipts.
-- Raises: query_canceled when this session itself is canceled.
-- Locks: the rows of async.receipt that it deletes.
create or replace function async.delete_receipts() returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_conn constant text := 'pgasync_receipts';
  v_old record;
  v_context text;
  v_conninfo text;
begin
  select o.* into v_old from async.old_receipts(clock_timestamp()) o;
  if not found then
    return 0;
  end if;
  begin
    -- A target that was deleted cannot be reached any more.
    if v_old.connection_string is not null then
      perform async.close_session(c_conn);
      v_conninfo := async.target_conninfo(v_old.target, 'receipts', false, 2);
      perform public.dblink_connect(c_conn, v_conninfo);
      perform async.query_target(c_conn, async.void_settings());
      perform async.query_target(c_conn, v_old.query);
      perform async.close_session(c_conn);
    end if;
    perform async.forget_receipts(v_old.task_ids, v_old.runs);
  exception when query_canceled or assert_failure or others then
    get stacked diagnostics v_context = pg_exception_context;
    perform async.close_session(c_conn);
    if sqlstate = '57014' and strpos(v_context, '"' || c_conn || '"') = 0 then
      raise;
    end if;
    perform async.postpone_receipts();
    perform async.log_quiet('WARNING', format('old receipts at target "%s" cannot be deleted yet: %s: %s', v_old.target,
      sqlstate, async.mask_text(sqlerrm)));
    return 0;
  end;
  return cardinality(v_old.runs);
end
$function$;
