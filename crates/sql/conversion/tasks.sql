-- Tasks. No trigger of a user sees these updates. A finished task that has the form of pgasync is not written.
do $tasks$
declare
  v_enable text;
  v_trigger name;
  v_tasks bigint;
  v_first bigint;
begin
  select count(*), min(t.task_id) into v_tasks, v_first from async.task t where t.target is null;
  if v_tasks > 0 then
    raise exception '% tasks have no target, the first is %', v_tasks, v_first
      using errcode = 'PA219',
        hint = 'Set their target (update async.task), or delete them, and install again. Nothing was changed.';
  end if;
  select string_agg(format('alter table async.task enable %s trigger %I',
    case t.tgenabled when 'A' then 'always' when 'R' then 'replica' else '' end, t.tgname), ';') into v_enable
  from pg_trigger t
  where t.tgrelid = 'async.task'::regclass and not t.tgisinternal and t.tgenabled <> 'D';
  for v_trigger in
    select t.tgname from pg_trigger t where t.tgrelid = 'async.task'::regclass and not t.tgisinternal order by t.tgname
  loop
    execute format('alter table async.task disable trigger %I', v_trigger);
  end loop;

  alter table async.task drop constraint if exists task_target_fkey;
  drop index if exists async.task_concurrency_pool_priority_entered_idx, async.task_times_up_idx,
    async.task_task_id_idx;

  -- A finish, a cancel or a deferral of a client was a task of the library itself. It becomes a request.
  insert into async.request (task_id, status, error_message, duration, requested)
  select x.id::bigint, (f.task_data ->> 'status')::async.finish_status_t, f.task_data ->> 'error_message',
    (f.task_data ->> 'duration')::interval, coalesce(f.entered, clock_timestamp())
  from async.task f
  cross join lateral jsonb_array_elements_text(f.task_data -> 'task_ids') with ordinality as x(id, place)
  where f.processed is null and f.consumed is null and f.yielded is null and f.query is null
    and f.target = (select c.self_target from async.control c)
    and jsonb_typeof(f.task_data -> 'task_ids') = 'array'
    and (f.task_data ->> 'status' <> 'DEFERRED' or f.task_data ->> 'duration' is not null)
    and exists (
      select from async.task t
      where t.task_id = x.id::bigint and t.processed is null and t.task_id <> f.task_id)
  order by f.priority, f.entered, f.task_id, x.place;
  update async.task f set consumed = clock_timestamp(), processed = clock_timestamp(), failed = false
  where f.processed is null and f.consumed is null and f.yielded is null and f.query is null
    and f.target = (select c.self_target from async.control c)
    and jsonb_typeof(f.task_data -> 'task_ids') = 'array';

  with changed as (
    select b.*, f.failed
    from (
      select
        t.task_id,
        t as row_before,
        coalesce(t.priority, 0) as priority,
        coalesce(t.entered, t.consumed, t.processed, clock_timestamp()) as entered,
        case
          when t.processed is not null then case
            when t.finish_status in ('FINISHED', 'FAILED', 'CANCELED', 'TIMED_OUT', 'DOA') then t.finish_status
            -- The library gave no status to what it presumed failed when it started, and to its own tasks.
            when t.failed then 'FAILED'
            else 'FINISHED'
          end
          when t.yielded is not null then 'YIELDED'
        end::async.finish_status_t as finish_status,
        case
          -- It left the slots of tasks that it presumed failed taken.
          when t.processed is not null then case when t.tracked then false else t.tracked end
          when t.yielded is not null then case when t.tracked and t.track_yielded then true end
          when t.consumed is not null then true
        end as tracked,
        case
          when t.processed is not null then t.times_up
          when t.consumed is not null or t.yielded is not null then coalesce(t.times_up, 'infinity')
          -- Only a deferral keeps a deadline.
          when t.finish_status = 'DEFERRED' then t.times_up
        end as times_up
      from async.task t
    ) b
    cross join lateral (
      select case when (b.row_before).processed is not null then b.finish_status <> 'FINISHED' end as failed
    ) f
    where (b.priority, b.entered, b.finish_status, f.failed, b.tracked, b.times_up) is distinct from
      ((b.row_before).priority, (b.row_before).entered, (b.row_before).finish_status, (b.row_before).failed,
        (b.row_before).tracked, (b.row_before).times_up)
  )
  update async.task t set
    priority = c.priority,
    entered = c.entered,
    finish_status = c.finish_status,
    failed = c.failed,
    tracked = c.tracked,
    times_up = c.times_up
  from changed c
  where t.task_id = c.task_id;

  alter table async.task
    alter column target set not null,
    alter column priority set default 0,
    alter column priority set not null,
    alter column entered set default clock_timestamp(),
    alter column entered set not null,
    add column run int not null default 0,
    add constraint task_finish_has_a_status check (processed is null or finish_status is not null),
    add constraint task_failed_only_at_the_end check (failed is null or processed is not null);
  -- The claim that holds is the first one.
  update async.task t set run = 1
  where t.processed is null and (t.consumed is not null or t.yielded is not null);

  if v_enable is not null then
    execute v_enable;
  end if;
end
$tasks$;
