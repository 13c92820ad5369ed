-- Purpose: async.push_many on a server.
-- Returns: as async.push_many.
-- Raises: as async.push_many.
-- Locks: as async.push_many.
create or replace function async.push_many_now(in_caller name, in_scope async.scope_t, in_tasks jsonb)
returns table (task_id bigint, duplicate bool)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_push record;
  v_ids bigint[];
  v_inserted int;
  v_lock_timeout constant text := current_setting('lock_timeout');
begin
  v_push := async.read_push(in_tasks);
  v_ids := array(
    select nextval('async.task_task_id_seq') from generate_series(1, cardinality(v_push.out_tasks)));
  if not exists (select from unnest(v_push.out_options) o where o.unique_key is not null) then
    v_inserted := async.insert_pushed(in_caller, in_scope, v_ids, v_push.out_tasks, v_push.out_options);
    return query
      -- A trigger may have kept rows out.
      select case when v_inserted = cardinality(v_ids) or exists (select from async.task t where t.task_id = i.id)
        then i.id end, false
      from unnest(v_ids) with ordinality as i(id, place)
      order by i.place;
  else
    begin
      if v_lock_timeout = '0' then
        perform set_config('lock_timeout', async.unique_key_wait_max(), true);
      end if;
      return query
        select u.task_id, u.duplicate
        from async.push_unique(in_caller, in_scope, v_ids, v_push.out_tasks, v_push.out_options) u;
      perform set_config('lock_timeout', v_lock_timeout, true);
    exception when lock_not_available then
      raise exception 'another transaction holds one of the unique keys: %', sqlerrm
        using errcode = 'PA01H', hint = 'Nothing was pushed. Push again, and keep transactions that push short.';
    end;
  end if;
  perform async.wake_leader();
end
$function$;
