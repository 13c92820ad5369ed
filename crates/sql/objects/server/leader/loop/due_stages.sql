-- Purpose: the stages of this cycle, in order. Results are read before the requests, and recorded
--   after them, so that all requests count that were committed before the result was read. Stages
--   that need not run in every cycle run less often.
-- Returns: the names of the stages.
-- Raises: nothing.
-- Locks: none.
create or replace function async.due_stages(in_all bool, in_routines bool, in_claiming bool, in_now timestamptz)
returns text[]
language plpgsql
as $function$
declare
  v_sweep constant bool := async.is_due('swept', '20 milliseconds', in_now) or in_all;
  v_configure constant bool := v_sweep and async.is_due('configured', '200 milliseconds', in_now) or in_all;
  v_check_targets constant bool := v_sweep and async.is_due('checked_targets', '500 milliseconds', in_now) or in_all;
  v_publish constant bool := v_sweep and async.is_due('published', '700 milliseconds', in_now) or in_all;
begin
  return
    case when v_sweep then '{listen}'::text[] else '{}' end
    || case when v_configure then '{configure}'::text[] else '{}' end
    || '{reap,requests}'::text[]
    || case when v_check_targets then '{broken}'::text[] else '{}' end
    || case when v_sweep then '{deadlines,record,helpers,orphans,promote,offers}'::text[] else '{record}' end
    || case when in_routines then '{routines}'::text[] else '{}' end
    || '{poll}'::text[]
    || case when v_sweep and async.is_due('reviewed', '0', in_now) or in_all then '{review}'::text[] else '{}' end
    || case when v_sweep and async.is_due('compacted', '100 milliseconds', in_now) then '{compact}'::text[] else '{}' end
    || case when v_sweep and async.is_due('forgot', '2 seconds', in_now) or in_all then '{forget}'::text[] else '{}' end
    || case when in_claiming then '{claim}'::text[] else '{}' end
    || case when v_check_targets then '{lost_targets}'::text[] else '{}' end
    || case when v_publish then '{publish,maintain}'::text[] else '{}' end;
end
$function$;
