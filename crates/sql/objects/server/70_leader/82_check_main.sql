-- Purpose: refuses to lead where it could not work: in the session of a role that does not own the schema; warns of settings
--   that would end it.
-- Returns: nothing.
-- Raises: PA209 to a role that does not own the schema.
-- Locks: none.
create or replace function async.check_main()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  if not pg_has_role((select n.nspowner from pg_namespace n where n.nspname = 'async'), 'usage') then
    raise exception 'only the owner of the schema async may run the orchestrator, % is not', current_user
      using errcode = 'PA209', hint = 'Connect as the owner, or set role to it';
  end if;
  if current_setting('statement_timeout') <> '0' then
    raise warning 'statement_timeout is %: it will end the orchestrator', current_setting('statement_timeout')
      using hint = 'set statement_timeout = 0, then call async.main()';
  end if;
end
$function$;

-- Purpose: which orchestrator leads, in a sentence.
-- Returns: text.
-- Raises: nothing.
-- Locks: none.
create or replace function async.describe_leader()
returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $function$
  select coalesce(
    format('another orchestrator leads: pid %s', async.leader_pid()),
    format('advisory lock %s is held by somebody else: choose another advisory_mutex_id', c.advisory_mutex_id))
  from async.control c
$function$;

-- Purpose: the settings of a leader's session: no JIT (it leaks in a session that never ends), no long waits for locks,
--   fresh snapshots, quiet under pg_cron. What it commits is on disk: a claim that a crash of the server forgot would
--   run twice.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.prepare_session()
returns void
language plpgsql
as $function$
begin
  perform set_config('jit', 'off', false);
  perform set_config('lock_timeout', '100ms', false);
  perform set_config('default_transaction_isolation', 'read committed', false);
  perform set_config('idle_in_transaction_session_timeout', '0', false);
  if current_setting('synchronous_commit') = 'off' then
    perform set_config('synchronous_commit', 'local', false);
  end if;
  if exists (select from pg_stat_get_activity(pg_backend_pid()) a where a.application_name like 'pg\_cron%') then
    perform set_config('client_min_messages', 'warning', false);
  end if;
end
$function$;
