-- Functions that have other names now. Views call this one, so it cannot be dropped.
do $rename$
begin
  if pg_catalog.to_regprocedure('async.someone_leads()') is not null then
    alter function async.someone_leads() rename to leader_exists;
  end if;
end
$rename$;

drop function if exists
  async.open_self_sessions(),
  async.close_stale_sessions(),
  async.expire_target_patience(timestamptz),
  async.why_not_ended(bigint),
  async.row_as_it_is(bigint),
  async.resting_tasks(),
  async.due_resting_tasks(timestamptz, int),
  async.note_touched(bigint[]),
  async.take_touched(),
  async.touched_rows();
