-- Purpose: gives back the space of dead rows in the tables of the leader, which nothing vacuums: up to
--   Postgres 13 a snapshot that another session holds keeps the dead versions of temporary tables, too.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: its temporary tables. (A table is truncated, which writes WAL, so it has to have grown a lot.)
create or replace function async.compact_memory()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_tables constant name[] := '{leader_worker,leader_pool,leader_lane,leader_target,leader_state,leader_backoff}';
  -- A row with many dead versions is slow to read, so the tables with few rows have a lower limit.
  c_worker_bytes_min constant bigint := 524288;
  c_bytes_min constant bigint := 131072;
  c_growth constant bigint := 3;
  v_table name;
  v_compact bigint;
  v_rows jsonb;
begin
  foreach v_table in array c_tables loop
    v_compact := coalesce(nullif(current_setting('pgasync.compact_' || v_table, true), ''), '0')::bigint;
    continue when pg_total_relation_size(format('pg_temp.%I', v_table)::regclass) <= greatest(
      case v_table when 'leader_worker' then c_worker_bytes_min else c_bytes_min end, c_growth * v_compact);
    execute format('select jsonb_agg(to_jsonb(r)) from pg_temp.%I r', v_table) into v_rows;
    execute format('truncate pg_temp.%I', v_table);
    execute format('insert into pg_temp.%1$I select r.* from jsonb_populate_recordset(null::pg_temp.%1$I, $1) r', v_table)
    using coalesce(v_rows, '[]');
    perform set_config('pgasync.compact_' || v_table,
      pg_total_relation_size(format('pg_temp.%I', v_table)::regclass)::text, false);
  end loop;
end
$function$;
