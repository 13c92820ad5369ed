-- Purpose: whether a periodic action is due. If it is, notes that it is done now. The times are
--   settings of the session: a row of a temporary table would give each idle cycle a transaction
--   id, and so a WAL record. They are seconds since 1970, which do not depend on datestyle.
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
