-- Purpose: reads what a target answered for a task whose rows are kept (async.keep_query). A target may
--   answer anything, and rows that it made may be none for this server: a character that the encoding of
--   the server lacks, a value that is nested deeper than max_stack_depth of the server permits, a number
--   of another version.
-- Returns: the columns of async.result. rows is null, and error says why, if the rows cannot be stored.
-- Raises: nothing, except when this session itself is canceled.
-- Locks: none.
create or replace function async.read_result(
  in_answer text, in_bytes_max int,
  out row_count bigint, out rows jsonb, out truncated bool, out bytes int, out error text
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_error_chars_max constant int := 1000;
  v_answer jsonb;
  v_bytes bytea;
begin
  begin
    v_answer := in_answer::jsonb;
    if jsonb_typeof(v_answer) <> 'object' then
      raise exception 'it is %', async.describe_json_type(jsonb_typeof(v_answer));
    end if;
    error := left(v_answer ->> 'error', c_error_chars_max);
    row_count := (v_answer ->> 'row_count')::bigint;
    truncated := coalesce((v_answer ->> 'truncated')::bool, true);
    if v_answer ->> 'rows' is null and error is null or row_count < 0 then
      raise exception 'it has no rows, or a negative number of them';
    end if;
    v_bytes := decode(v_answer ->> 'rows', 'base64');
  exception when assert_failure or others then
    row_count := null;
    truncated := true;
    v_bytes := null;
    error := left(format('the answer of the target cannot be read: %s: %s', sqlstate, sqlerrm), c_error_chars_max);
  end;
  if octet_length(v_bytes) > in_bytes_max then
    truncated := true;
    error := format('the target answered %s bytes, and result_bytes_max is %s', octet_length(v_bytes), in_bytes_max);
    return;
  end if;
  begin
    rows := convert_from(v_bytes, 'UTF8')::jsonb;
    bytes := octet_length(v_bytes);
    if jsonb_typeof(rows) <> 'array' or jsonb_array_length(rows) > coalesce(row_count, 0) then
      raise exception 'they are no array, or more than were counted';
    end if;
  exception when assert_failure or others then
    rows := null;
    bytes := null;
    truncated := true;
    error := left(format('the server cannot store the rows: %s: %s', sqlstate, sqlerrm), c_error_chars_max);
  end;
end
$function$;
