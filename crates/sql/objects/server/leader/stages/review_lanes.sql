-- Purpose: reads a part of the lanes from their fronts, one part after the other, because a poll does
--   not see what users change by hand. Forgets lanes of that part that have no waiting tasks any more.
--   A held snapshot makes the fronts expensive to read, so the reviews take a small share of the time.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.review_lanes()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_nestloop = off
as $function$
declare
  c_lanes_max constant int := 250;
  c_share constant float8 := 40;
  c_pause_min constant interval := '200 milliseconds';
  v_began constant timestamptz := clock_timestamp();
  -- The kind of the lanes, and the last lane of the part before.
  v_at constant text[] := coalesce(nullif(current_setting('pgasync.reviewed_to', true), ''), '{false,"",""}');
  v_pullable constant bool := v_at[1];
  v_fronts async.lane_t[];
  v_last async.lane_t;
begin
  v_fronts := array(select f from async.lane_fronts(v_pullable, v_at[2], v_at[3], c_lanes_max) f);
  if cardinality(v_fronts) = c_lanes_max then
    v_last := v_fronts[c_lanes_max];
  end if;
  delete from pg_temp.leader_lane l
  where l.pullable = v_pullable and (l.pool, l.target) > (v_at[2], v_at[3])
    and (v_last.pool is null or (l.pool, l.target) <= (v_last.pool, v_last.target))
    and not exists (select from unnest(v_fronts) f where f.pool = l.pool and f.target = l.target);
  perform async.note_fronts(v_fronts);
  perform set_config('pgasync.reviewed_to',
    case when v_last.pool is null then array[(not v_pullable)::text, '', '']
      else array[v_pullable::text, v_last.pool, v_last.target] end::text, false);
  perform async.note_done('reviewed', greatest(v_began + c_pause_min,
    clock_timestamp() + c_share * (clock_timestamp() - v_began)));
end
$function$;
