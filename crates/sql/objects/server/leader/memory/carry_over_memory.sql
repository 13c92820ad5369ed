-- Purpose: continues the memory of a leader whose schema was replaced by another version while it
--   ran. The temporary tables are created as this version has them, and get the rows of the old
--   ones, in the columns that both versions have. Then the leader stops in the usual way: it records
--   the results of the queries that run, and ends.
-- Returns: nothing.
-- Raises: PA213 when the rows do not fit. The next leader resolves the tasks then.
-- Locks: none.
create or replace function async.carry_over_memory() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set client_min_messages = warning
as $function$
declare
  v_table name;
  v_columns text;
begin
  for v_table in
    select c.relname from pg_class c
    where c.relnamespace = pg_my_temp_schema() and c.relkind = 'r' and c.relname like E'leader\\_%'
  loop
    execute format('drop table if exists pg_temp.%I', 'old_' || v_table);
    execute format('alter table pg_temp.%I rename to %I', v_table, 'old_' || v_table);
  end loop;
  perform async.create_leader_state();
  for v_table, v_columns in
    select c.relname, string_agg(quote_ident(a.attname), ', ' order by a.attnum)
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    join pg_class o on o.relnamespace = c.relnamespace and o.relname = 'old_' || c.relname
    join pg_attribute b on b.attrelid = o.oid and b.attname = a.attname and not b.attisdropped
    where c.relnamespace = pg_my_temp_schema() and c.relkind = 'r' and c.relname like E'leader\\_%'
    group by c.relname
  loop
    execute format('insert into pg_temp.%1$I (%3$s) select %3$s from pg_temp.%2$I',
      v_table, 'old_' || v_table, v_columns);
    execute format('drop table pg_temp.%I', 'old_' || v_table);
  end loop;
  update pg_temp.leader_state
  set stop = 'PA213: the schema async was replaced by another version; start the orchestrator anew';
exception
  when query_canceled then
    raise;
  when assert_failure or others then
    raise exception 'the schema async was replaced by another version, which cannot continue: %', sqlerrm
      using errcode = 'PA213', hint = 'Start the orchestrator again. Tasks whose queries ran have an unknown outcome.';
end
$function$;
