-- Purpose: starts the launch marks anew, with marks of all tasks that are claimed or launched (see
--   async.lead_rotate_marks).
-- Returns: nothing.
-- Raises: as async.lead_rotate_marks.
-- Locks: as async.lead_rotate_marks.
create or replace function async.rotate_marks()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_ids bigint[];
  v_runs int[];
begin
  select array_agg(m.task_id), array_agg(m.run) into v_ids, v_runs
  from (
    select s.task_id, s.run from pg_temp.leader_worker s
    where s.state in ('claimed', 'running', 'ended', 'lost') and s.task_id is not null
    union all
    select o.task_id, o.run from pg_temp.leader_orphan o where o.launched
  ) m;
  perform async.lead_rotate_marks(l.epoch, v_ids, v_runs) from pg_temp.leader_state l;
  update pg_temp.leader_state set marks = 0;
end
$function$;
