-- Purpose: an interval in short form: 1d 2h 3m 4s, 2h 3m 4s, 3m 4s, 1.5s, with more digits below
--   0.1 s.
-- Returns: text; null for null.
-- Raises: nothing. Locks: none.
create or replace function async.interval_pretty(i interval) returns text
language sql immutable strict
set search_path = pg_catalog, pg_temp
as $function$
  select case
    when not isfinite(i) then i::text
    when p.total = 0 then '0s'
    when p.total < 0 then '-' || async.interval_pretty(-i)
    when p.total >= 59.95 then concat(
      case when p.whole >= 86400 then trunc(p.whole / 86400) || 'd ' end,
      case when p.whole >= 3600 then trunc(p.whole / 3600) % 24 || 'h ' end,
      trunc(p.whole / 60) % 60 || 'm ',
      p.whole % 60 || 's')
    when p.total >= 0.1 then round(p.total, 1) || 's'
    when p.total >= 0.01 then round(p.total, 2) || 's'
    when p.total >= 0.001 then round(p.total, 3) || 's'
    when p.total >= 0.0001 then round(p.total, 4) || 's'
    else round(p.total, 5) || 's'
  end
  from (
    select extract(epoch from i)::numeric as total, round(extract(epoch from i)::numeric) as whole
  ) p
$function$;
