-- Purpose: forgets when periodic actions were last done, so that a new leader does them all, and
--   that this session fell asleep as an earlier leader.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.make_all_due()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform set_config('pgasync.' || w, '', false)
  from unnest('{configured,swept,polled_to,polled,reviewed,reviewed_to,forgot,compacted,checked_targets,published,pool_limits,recounted,recorded,writers,upkeep,fires}'::text[]) w;
end
$function$;
