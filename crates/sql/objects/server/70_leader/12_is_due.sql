-- Purpose: whether something that is done now and then is due, and if so notes that it is done now. Kept in settings of
--   the session, so that an idle leader writes nothing.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.is_due(in_what text, in_every interval, in_now timestamptz)
returns bool
language plpgsql
as $function$
begin
  if coalesce(nullif(current_setting('pgasync.' || in_what, true), '')::timestamptz, '-infinity') + in_every > in_now then
    return false;
  end if;
  perform set_config('pgasync.' || in_what, in_now::text, false);
  return true;
end
$function$;

-- Purpose: forgets when things were done last: a new leader does them all.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.make_all_due()
returns void
language plpgsql
as $function$
begin
  perform set_config('pgasync.' || w, '', false)
  from unnest('{configured,swept,looked_at_lanes,lost_patience,published}'::text[]) w;
end
$function$;
