-- Purpose: notes what the target of a running query answered for a task whose rows are kept. An answer
--   that is longer than it can be is not kept in memory any longer.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.note_result(in_worker int, in_answer text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  update pg_temp.leader_worker s
  set result = case when octet_length(in_answer) <= async.answer_bytes_max(c.result_bytes_max) then in_answer
    else format('{"error": "the target answered %s bytes"}', octet_length(in_answer)) end
  from async.control c
  where s.worker = in_worker;
end
$function$;
