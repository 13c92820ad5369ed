-- Purpose: runs in a helper session, for a fence: resolves the receipts of the sessions that it has found to be
--   gone. in_found is the result of the fence; in_started and in_system_identifier are of the server of
--   the connection.
-- Returns: in_found, in which a session with receipts that are resolved has them (async.resolve_receipts),
--   and one with others has the state failed.
-- Raises: query_canceled when this session itself is canceled.
-- Locks: none.
create or replace function async.add_receipts(
  in_conn text, in_found jsonb, in_started timestamptz, in_system_identifier text
) returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_session record;
  v_resolved jsonb := '{}';
  v_failed jsonb := '{}';
  v_context text;
  v_error text;
begin
  for v_session in
    select s as registered from async.session s
    where s.session_id in (
        select (f ->> 'id')::bigint from jsonb_array_elements(in_found) f where f ->> 'state' = 'gone')
      and exists (select from async.receipt r where r.session_id = s.session_id)
    order by s.session_id
  loop
    begin
      if v_error is not null then
        raise exception '%', v_error;
      end if;
      if not async.has_its_receipts(v_session.registered, in_started, in_system_identifier) then
        raise exception 'it is unknown whether the server that answers has it: its role may not read the system identifier'
          using errcode = '42501';
      end if;
      v_resolved := v_resolved || jsonb_build_object((v_session.registered).session_id,
        async.resolve_receipts(in_conn, array[(v_session.registered).session_id]));
    exception when query_canceled or assert_failure or others then
      get stacked diagnostics v_context = pg_exception_context;
      if sqlstate = '57014' and strpos(v_context, '"' || in_conn || '"') = 0 then
        raise;
      end if;
      v_failed := v_failed || jsonb_build_object((v_session.registered).session_id,
        format('it is gone, and its receipt cannot be resolved: %s: %s', sqlstate, sqlerrm));
      -- After an error the connection must not be used any more.
      v_error := coalesce(v_error, format('after %s', sqlstate));
      perform async.close_session(in_conn);
    end;
  end loop;
  if v_resolved = '{}' and v_failed = '{}' then
    return in_found;
  end if;
  return (
    select jsonb_agg(case
      when v_failed ? (f ->> 'id') then f || jsonb_build_object('state', 'failed', 'error', async.mask_text(v_failed ->> (f ->> 'id')))
      when v_resolved ? (f ->> 'id') then f || jsonb_build_object('receipts', v_resolved -> (f ->> 'id'))
      else f
    end order by place)
    from jsonb_array_elements(in_found) with ordinality as e(f, place));
end
$function$;
