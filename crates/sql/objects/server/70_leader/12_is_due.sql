-- Purpose: whether something that is done now and then is due, and if so notes that it is done now. Kept in settings of
--   the session, so that an idle leader writes nothing; as seconds since 1970, which reads the same under any datestyle.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.is_due(in_what text, in_every interval, in_now timestamptz)
returns bool
language plpgsql
as $function$
begin
  if to_timestamp(coalesce(nullif(current_setting('pgasync.' || in_what, true), ''), '0')::float8) + in_every > in_now then
    return false;
  end if;
  perform async.note_done(in_what, in_now);
  return true;
end
$function$;

-- Purpose: notes when something was done last, or, with a later time, that it is not due before.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.note_done(in_what text, in_at timestamptz)
returns void
language plpgsql
as $function$
begin
  perform set_config('pgasync.' || in_what, to_char(extract(epoch from in_at)::numeric, 'FM99999999999990.000000'), false);
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
  from unnest('{configured,swept,looked_at_lanes,lost_patience,published,recounted}'::text[]) w;
end
$function$;
