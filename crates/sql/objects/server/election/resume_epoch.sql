-- Purpose: continues an epoch in another session after the loss of the leader session: waits until
--   no write transaction of the epoch is under way, terminates the backend of the lost session, and
--   reports whether it is gone. While it exists, a statement that it received earlier may still
--   begin.
-- Returns: whether the epoch is still the present one; whether the backend is gone; whether the
--   launch marks were lost in a crash of Postgres.
-- Raises: lock_not_available while a write transaction is under way.
-- Locks: async.leader in share row exclusive mode, which blocks the writes of a leader, until the
--   transaction ends; the row of async.control.
create or replace function async.resume_epoch(
  in_epoch bigint, in_pid int, in_backend_start timestamptz,
  out out_stands bool, out out_gone bool, out out_marks_lost bool
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  lock table async.leader in share row exclusive mode;
  select l.epoch = in_epoch, not exists (
    select from async.launch_mark m where m.task_id = 0 and m.run = l.generation)
  into out_stands, out_marks_lost from async.leader l;
  -- The statistics snapshot may date from the start of the transaction.
  perform pg_stat_clear_snapshot();
  out_gone := not exists (
    select from pg_stat_get_activity(in_pid) a
    where a.pid = in_pid and (a.backend_start = in_backend_start or a.backend_start is null));
  if out_stands and not out_gone then
    perform pg_terminate_backend(in_pid);
  end if;
  if out_stands and out_gone then
    update async.control set pid = pg_backend_pid();
  end if;
end
$function$;
