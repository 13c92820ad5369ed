-- Purpose: creates the trigger async.check_secret_row on the tables with connection strings. The
--   installation of each part ends with it.
-- Returns: nothing.
-- Raises: no error of class PA.
-- Locks: the tables that get the trigger.
create or replace function async.guard_secret_rows() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_table regclass;
begin
  for v_table in
    select c.oid::regclass
    from pg_class c
    where c.relnamespace = 'async'::regnamespace and c.relkind = 'r'
      and exists (
        select from pg_attribute a
        where a.attrelid = c.oid and a.attname in ('connection_string', 'self_connection_string')
          and not a.attisdropped)
      and not exists (select from pg_trigger t where t.tgrelid = c.oid and t.tgname = 'check_secret_row')
    order by c.oid
  loop
    execute format('create trigger check_secret_row before insert or update on %s '
      'for each row execute procedure async.check_secret_row()', v_table);
  end loop;
end
$function$;
