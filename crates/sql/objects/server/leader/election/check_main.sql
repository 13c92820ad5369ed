-- Purpose: refuses to lead in the session of a role that does not own the schema, and warns of a
--   statement_timeout.
-- Returns: nothing.
-- Raises: PA209 for a role that does not own the schema.
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
