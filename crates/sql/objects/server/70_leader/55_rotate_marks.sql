-- Purpose: starts the launch marks anew: truncates them (unless a reader is in the way), writes a sentinel of a new
--   generation and the marks of every task that is launched now, all in one transaction.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: async.launch_mark exclusively, for a moment; gives up after 100 ms.
create or replace function async.rotate_marks()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '100ms'
as $function$
begin
  begin
    truncate async.launch_mark;
  exception when lock_not_available then
    null;
  end;
  update async.leader set generation = generation + 1;
  insert into async.launch_mark (task_id, run, session_id)
  select 0, l.generation, 0 from async.leader l
  union all
  select s.task_id, s.run, s.session_id
  from pg_temp.leader_slot s where s.state in ('claimed', 'running', 'ended', 'lost') and s.task_id is not null
  union all
  select o.task_id, o.run, 0 from pg_temp.leader_orphan o;
  update pg_temp.leader_state set marks = 0;
end
$function$;
