-- Purpose: the sums of the buckets of two histograms.
-- Returns: bigint[]; null if both are no histogram.
-- Raises: nothing.
-- Locks: none.
create or replace function async.add_buckets(in_buckets bigint[], in_more bigint[]) returns bigint[]
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select array_agg(coalesce(s.observations, 0) + coalesce(s.more, 0) order by s.place)
  from unnest(in_buckets, in_more) with ordinality as s(observations, more, place)
$function$;
