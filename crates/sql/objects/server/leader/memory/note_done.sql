-- Purpose: notes when a periodic action was last done. With a time in the future the action is not
--   due before it.
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
