-- Purpose: notes the error of a running query with its worker. Distinguishes an end that the target
--   reported from a lost connection, after which the outcome of the query is unknown.
-- Returns: 'error' or 'lost'.
-- Raises: nothing.
-- Locks: none.
create or replace function async.note_query_error(in_worker int, in_code text, in_error text)
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_outcome text := case
    when async.ends_session(in_code) then 'lost' else 'error' end;
begin
  update pg_temp.leader_worker s
  set outcome = v_outcome,
      error = case v_outcome
        when 'error' then in_error
        else async.cut_text(format(
          'outcome unknown: the connection to target "%s" was lost while the query ran: %s', s.target, in_error))
      end
  where s.worker = in_worker;
  return v_outcome;
end
$function$;
