-- Purpose: the stages of this cycle, in order. Results are read before the requests, and recorded
--   after them, so that all requests count that were committed before the result was read. Stages
--   that need not run in every cycle run less often, and those that only notice what others change
--   seldom while the leader is idle: after a sleep that no notification ended (pgasync.idle).
-- Returns: the names of the stages.
-- Raises: nothing.
-- Locks: none.
create or replace function async.due_stages(in_all bool, in_routines bool, in_claiming bool, in_now timestamptz)
returns text[]
language plpgsql
as $function$
declare
  c_idle constant interval := '4500 milliseconds';
  c_fire_again constant interval := '1 second';
  v_idle constant bool := coalesce(current_setting('pgasync.idle', true), '') <> '';
  v_sweep constant bool := async.is_due('swept', '20 milliseconds', in_now) or in_all;
  v_configure bool := in_all;
  v_check_targets bool := in_all;
  v_review bool := in_all;
  v_compact bool := false;
  v_forget bool := in_all;
  v_publish bool := in_all;
  v_fire bool := in_all;
begin
  if v_sweep then
    v_configure := async.is_due('configured', case when v_idle then c_idle else '200 milliseconds' end, in_now) or in_all;
    v_check_targets := async.is_due('checked_targets', case when v_idle then c_idle else '500 milliseconds' end, in_now)
      or in_all;
    v_review := async.is_due('reviewed', case when v_idle then c_idle else '0' end, in_now) or in_all;
    v_compact := async.is_due('compacted', case when v_idle then c_idle else '100 milliseconds' end, in_now);
    v_forget := async.is_due('forgot', '2 seconds', in_now) or in_all;
    v_fire := async.firing_time() <= in_now or in_all;
    v_publish := async.is_due('published', case when v_idle then c_idle else '700 milliseconds' end, in_now) or in_all;
  end if;
  if v_fire then
    -- When the stage fails.
    perform async.note_next_firing(in_now + c_fire_again);
  end if;
  if v_idle then
    perform set_config('pgasync.idle', '', false);
  end if;
  return
    case when v_sweep then '{listen}'::text[] else '{}' end
    || case when v_configure then '{configure}'::text[] else '{}' end
    || case when v_compact then '{compact}'::text[] else '{}' end
    || case when v_forget then '{forget}'::text[] else '{}' end
    || '{reap,requests}'::text[]
    || case when v_check_targets then '{broken}'::text[] else '{}' end
    || case when v_sweep then '{deadlines,record,helpers,orphans,promote,offers}'::text[] else '{record}' end
    || case when v_fire then '{schedules}'::text[] else '{}' end
    || case when in_routines then '{routines}'::text[] else '{}' end
    || '{poll}'::text[]
    || case when v_review then '{review}'::text[] else '{}' end
    || case when in_claiming then '{claim}'::text[] else '{}' end
    || case when v_check_targets then '{lost_targets}'::text[] else '{}' end
    || case when v_publish then '{publish,maintain}'::text[] else '{}' end
    || case when async.counting_is_due(in_all, in_now) then '{count}'::text[] else '{}' end;
end
$function$;
