-- Which tasks run next.

-- A given queue: its lanes, and the next task in it.
create function judged.queue(in_queue jsonb) returns jsonb language plpgsql as $$
begin
  delete from async.task;
  delete from async.target;
  delete from async.concurrency_pool;
  update async.control set default_concurrency_pool_workers = (in_queue ->> 'default_pool')::int;
  insert into async.target (target, max_concurrency)
  select t.key, t.value::int from jsonb_each_text(in_queue -> 'targets') t;
  insert into async.concurrency_pool (concurrency_pool, max_workers)
  select p.key, p.value::int from jsonb_each_text(in_queue -> 'pools') p;
  update async.target t set paused = true where t.target = any (judged.texts(in_queue -> 'paused_targets'));
  update async.concurrency_pool p set paused = true
  where p.concurrency_pool = any (judged.texts(in_queue -> 'paused_pools'));
  insert into async.task (task_id, target, concurrency_pool, priority, entered, query, consumed, processed, yielded,
    finish_status, tracked, eligible_when, times_up)
  select i.task_id, i.target, i.concurrency_pool, i.priority, judged.at((t ->> 'entered')::bigint), i.query,
    i.consumed, i.processed, i.yielded, i.finish_status, i.tracked, i.eligible_when, i.times_up
  from jsonb_array_elements(in_queue -> 'tasks') t
  cross join judged.task(t - 'entered') i;
  return jsonb_build_object(
    'lanes', (
      select coalesce(jsonb_agg(jsonb_build_array(l.pool, l.target, l.pullable)
        order by l.pool, l.target, l.pullable), '[]')
      from async.discover_lanes() l),
    'launches', judged.choose((in_queue ->> 'workers')::int, judged.texts(in_queue -> 'skip')::bigint[],
      judged.texts(in_queue -> 'down'), in_queue -> 'behind', judged.at((in_queue ->> 'now')::bigint),
      in_queue -> 'sessions'),
    'shallow', (
      select jsonb_agg(judged.choose((in_queue ->> 'workers')::int, judged.texts(in_queue -> 'skip')::bigint[],
        judged.texts(in_queue -> 'down'), in_queue -> 'behind', judged.at((in_queue ->> 'now')::bigint),
        in_queue -> 'sessions', d.depth) order by d.depth)
      from (values (1), (2), (5)) d(depth)));
end
$$;
