
-- Locks what the installation replaces or changes: the views, and if migrations are missing the tables. A client that
-- holds one of them may want another one that is locked here already. So no lock is waited for longer than clients wait
-- until they look for deadlocks: the locks are taken anew, until lock_timeout has passed.
do $lock$
declare
  c_lock_timeout constant text := current_setting('lock_timeout');
  c_until constant timestamptz := clock_timestamp() + c_lock_timeout::interval;
  v_changes bool := false;
  v_relation record;
  v_name text;
begin
  if to_regclass('async.migration') is not null then
    v_changes := exists (
      select from unnest('{@MIGRATIONS@}'::text[]) known where known not in (select m.migration from async.migration m));
  end if;
  loop
    begin
      -- A vacuum that runs by itself gives way to this, and clients do not wait for it.
      for v_relation in
        select c.oid::regclass as name from pg_class c
        where v_changes and c.relnamespace = to_regnamespace('async') and c.relkind = 'r' and pg_has_role(c.relowner, 'usage')
        order by c.oid
      loop
        v_name := v_relation.name::text;
        execute format('lock table %s in share update exclusive mode', v_relation.name);
      end loop;
      -- This releases the locks.
      raise no_data_found;
    exception when no_data_found then
      null;
    end;
    begin
      perform set_config('lock_timeout', '50ms', true);
      for v_relation in
        select c.oid::regclass as name, c.relkind, pg_get_userbyid(c.relowner) as owner
        from pg_class c
        where c.relnamespace = to_regnamespace('async') and pg_has_role(c.relowner, 'usage')
          and (c.relkind = 'v' or c.relkind = 'r' and v_changes or c.relname = 'client_control')
        -- Calls of clients begin with these two. The calls that have begun end while the other locks are taken.
        order by c.relname = 'caller' desc, c.relname = 'client_control' desc, c.relkind, c.oid
      loop
        v_name := v_relation.name::text;
        if v_relation.relkind = 'v' then
          -- This locks the view alone, and not what it reads.
          execute format('alter view %s owner to %I', v_relation.name, v_relation.owner);
        else
          execute format('lock table %s in access exclusive mode', v_relation.name);
        end if;
      end loop;
      exit;
    exception when lock_not_available then
      if clock_timestamp() > c_until then
        raise;
      end if;
    end;
    perform pg_sleep(0.05);
  end loop;
  perform set_config('lock_timeout', c_lock_timeout, true);
exception when lock_not_available then
  raise exception 'the installation cannot replace % while an open transaction uses it', v_name
    using errcode = 'lock_not_available',
      hint = 'Run it again when the transactions that pg_stat_activity shows (xact_start) have ended. '
        'To wait for longer, set lock_timeout in its session. Nothing was changed.';
end
$lock$;
