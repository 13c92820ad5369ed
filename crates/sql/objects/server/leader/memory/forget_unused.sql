-- Purpose: forgets pools without tasks, and targets that were deleted and are not used any more. The
--   next task of a pool adds it again.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.forget_unused()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_nestloop = off
as $function$
declare
  c_share constant float8 := 20;
  v_began constant timestamptz := clock_timestamp();
begin
  delete from pg_temp.leader_pool p
  where p.taken = 0 and p.offers_held_until <= clock_timestamp()
    and (p.spacing is null or p.started_at + p.spacing <= clock_timestamp())
    and not exists (select from pg_temp.leader_lane l where l.pool = p.pool);
  delete from pg_temp.leader_target t
  where not t.configured
    and not exists (select from pg_temp.leader_lane l where l.target = t.target)
    and not exists (select from pg_temp.leader_worker s where s.target = t.target)
    and not exists (select from pg_temp.leader_helper h where h.target = t.target)
    and not exists (select from pg_temp.leader_fence f where f.target = t.target)
    and not exists (select from pg_temp.leader_orphan o where o.target = t.target);
  perform async.note_done('forgot', v_began + c_share * (clock_timestamp() - v_began));
end
$function$;
