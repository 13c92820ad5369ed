-- Raises unless types and tables have the known form, which users may have extended by columns at the end.
do $check_form$
declare
  v_table record;
  v_type record;
  v_extension name;
begin
  select e.extname into v_extension
  from pg_depend d
  join pg_extension e on e.oid = d.refobjid
  where d.classid = 'pg_class'::regclass and d.objid = 'async.client_control'::regclass and d.deptype = 'e';
  if found then
    raise exception 'the schema async belongs to the extension %, so pgasync cannot convert it', quote_ident(v_extension)
      using errcode = 'PA219',
        hint = 'Keep it under another name, and install beside it: see "From the library with the same schema" in '
          'docs/moving-over.md. Nothing was changed.';
  end if;

  for v_type in
    select e.name, e.labels, coalesce(f.labels, 'missing') as found
    from (values
      ('finish_status_t', 'FINISHED FAILED CANCELED PAUSED TIMED_OUT YIELDED DOA DEFERRED', true),
      ('task_run_type_t', 'EXECUTE DOA EMPTY EXECUTE_NOASYNC', true),
      ('task_execution_state_t', 'READY RUNNING YIELDED FINISHED', false),
      ('routine_type_t', 'STARTUP LOOP', false)) as e(name, labels, of_client)
    left join lateral (
      select string_agg(l.enumlabel, ' ' order by l.enumsortorder) as labels
      from pg_type t
      join pg_enum l on l.enumtypid = t.oid
      where t.typnamespace = 'async'::regnamespace and t.typname = e.name
    ) f on true
    where (e.of_client or to_regclass('async.control') is not null) and f.labels is distinct from e.labels
    order by e.name
  loop
    raise exception 'the schema async is not the form of the library that pgasync converts: its type async.% is %, not %',
        v_type.name, v_type.found, v_type.labels
      using errcode = 'PA219',
        hint = 'Upgrade the library to its last version first; or keep the schema under another name, and install '
          'beside it (docs/moving-over.md). Nothing was changed.';
  end loop;

  for v_table in
    select e.name, e.columns, coalesce(f.columns, 'missing') as found
    from (values
      ('client_control', true, 'client_only boolean, connection_string text, version text'),
      ('task_push_t', true, 'task_data jsonb, target text, priority integer, query text, concurrency_pool text, '
        'manual_timeout interval, track_yielded boolean'),
      ('task', false, 'task_id bigint, target text, priority integer, entered timestamp with time zone, '
        'consumed timestamp with time zone, processed timestamp with time zone, yielded timestamp with time zone, '
        'finish_status async.finish_status_t, source text, query text, failed boolean, processing_error text, '
        'asynchronous_finish boolean, times_up timestamp with time zone, task_data jsonb, concurrency_pool text, '
        'manual_timeout interval, tracked boolean, track_yielded boolean, eligible_when timestamp with time zone'),
      ('target', false, 'target text, max_concurrency integer, connection_string text, asynchronous_finish boolean, '
        'default_timeout interval, concurrency_track_yielded boolean'),
      ('concurrency_pool', false, 'concurrency_pool text, max_workers integer'),
      ('control', false, 'enabled boolean, workers integer, idle_sleep double precision, '
        'heavy_maintenance_sleep interval, task_keep_duration interval, default_timeout interval, '
        'advisory_mutex_id integer, self_target text, self_connection_string text, self_concurrency integer, '
        'last_heavy_maintenance timestamp with time zone, running_since timestamp with time zone, paused boolean, '
        'pid integer, busy_sleep double precision, light_maintenance_sleep interval, '
        'last_light_maintenance timestamp with time zone, default_concurrency_pool_workers integer, '
        'startup_routines text[], loop_routines text[], version text, debug_log boolean'),
      ('server_log', false, 'server_log bigint, happened timestamp with time zone, level text, message text')
    ) as e(name, of_client, columns)
    left join lateral (
      select string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' order by a.attnum) as columns
      from pg_class c
      join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      where c.relnamespace = 'async'::regnamespace and c.relname = e.name and c.relkind in ('r', 'c')
    ) f on true
    where (e.of_client or to_regclass('async.control') is not null)
      and (f.columns is null or not starts_with(f.columns || ',', e.columns || ','))
    order by e.name
  loop
    raise exception 'the schema async is not the form of the library that pgasync converts: async.% differs', v_table.name
      using errcode = 'PA219',
        detail = format('It has the columns: %s. These are expected: %s.', v_table.found, v_table.columns),
        hint = 'Upgrade the library to its last version first; or keep the schema under another name, and install '
          'beside it (docs/moving-over.md). Nothing was changed.';
  end loop;
end
$check_form$;
