-- Purpose: parses the answer to the identity query.
-- Returns: pid, version, backend_start and role of the session; start time, address, port, system
--   identifier and timeline of its server, whether the server is writable, and the schema of dblink.
-- Raises: 08P01 when the text is not such an answer.
-- Locks: none.
create or replace function async.read_identity(
  in_answer text, out pid int, out version int, out backend_start timestamptz, out role text,
  out server_started timestamptz, out server_address text, out server_port int, out system_identifier text,
  out timeline int, out writable bool, out dblink_schema text
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_answer_chars_max constant int := 2000;
  v_answer jsonb;
begin
  if in_answer is null or length(in_answer) > c_answer_chars_max then
    raise data_exception;
  end if;
  v_answer := in_answer::jsonb;
  pid := v_answer ->> 0;
  version := v_answer ->> 1;
  backend_start := v_answer ->> 2;
  role := v_answer ->> 3;
  server_started := v_answer ->> 4;
  server_address := v_answer ->> 5;
  server_port := v_answer ->> 6;
  system_identifier := v_answer ->> 7;
  timeline := ('x' || lpad(v_answer ->> 8, 8, '0'))::bit(32)::int;
  writable := v_answer ->> 9;
  dblink_schema := v_answer ->> 10;
  if pid is null or version is null or backend_start is null or role is null then
    raise data_exception;
  end if;
exception when others then
  raise exception 'the session did not identify itself' using errcode = 'protocol_violation';
end
$function$;
