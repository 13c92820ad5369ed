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
