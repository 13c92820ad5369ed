-- Raises while the orchestrator of the library runs, and prevents that one starts until the end of the transaction.
do $check_orchestrator$
declare
  v_mutex bigint;
  v_pid int;
  v_role name;
  v_holder int;
  v_free bool;
begin
  select coalesce(c.advisory_mutex_id, 0), c.pid into v_mutex, v_pid from async.control c;
  v_free := pg_try_advisory_xact_lock(v_mutex);
  -- With _force the library takes the lock 0, whatever advisory_mutex_id is.
  select l.pid, a.usename into v_holder, v_role
  from pg_locks l
  left join pg_stat_activity a on a.pid = l.pid
  where l.locktype = 'advisory' and l.granted and l.objsubid = 1
    and l.database = (select d.oid from pg_database d where d.datname = current_database())
    and (l.classid::bigint << 32 | l.objid::bigint = v_mutex and l.pid <> pg_backend_pid()
      or l.classid::bigint << 32 | l.objid::bigint in (0, v_mutex) and l.pid = v_pid)
  order by l.pid = v_pid desc, l.pid
  limit 1;
  if found or not v_free then
    raise exception 'the orchestrator of the library runs in the session % of the role %; stop it before the installation',
        coalesce(v_holder::text, 'unknown'), coalesce(quote_ident(v_role), 'unknown')
      using errcode = 'PA218',
        detail = format('The session holds the advisory lock %s (control.advisory_mutex_id).', v_mutex),
        hint = format('Stop the job that calls async.main(), wait until no task runs, then: select pg_terminate_backend(%s). '
          'Nothing was changed.', coalesce(v_holder::text, 'pid'));
  end if;
end
$check_orchestrator$;
