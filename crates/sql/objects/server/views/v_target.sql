-- Every target, without passwords, and the number of workers that run a task there.
create or replace view async.v_target as
select
  t.target,
  t.max_concurrency,
  async.mask_connection_string(t.connection_string) as connection_string,
  t.asynchronous_finish,
  t.default_timeout,
  t.concurrency_track_yielded,
  (select count(*) from async.worker w where w.target = t.target and w.task_id is not null) as active_workers,
  t.session_reset,
  t.retired,
  t.max_sessions,
  t.tags,
  t.paused
from async.target t
order by t.target;
