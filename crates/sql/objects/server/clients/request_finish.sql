-- Purpose: writes the requests of a client for unfinished tasks. The leader applies them after the
--   commit of the caller. A message is cut at 64 KiB.
-- Returns: a warning with the ids that do not exist or are finished, or null.
-- Raises: PA020 for a null status, PA021 for DEFERRED without a duration, PA022 for a negative
--   duration or one above 10000 years.
-- Locks: none that others wait for.
create or replace function async.request_finish(
  in_task_ids bigint[],
  in_status async.finish_status_t,
  in_error_message text,
  in_duration interval) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_named_ids_max constant int := 100;
  v_message constant text := async.cut_text(in_error_message);
  v_refused text[];
begin
  if in_task_ids is null then
    return null;
  elsif in_status is null then
    raise exception 'a status is needed to finish a task'
      using errcode = 'PA020', hint = 'FINISHED and FAILED are the common ones.';
  elsif in_status = 'DEFERRED' and in_duration is null then
    raise exception 'a duration is needed to defer a task'
      using errcode = 'PA021', hint = 'async.defer(array[task_id], ''10 minutes'')';
  elsif not async.is_usable_duration(in_duration) then
    raise exception 'a task cannot be put off by %', in_duration
      using errcode = 'PA022', hint = 'The duration must be 0 or more, and at most 10000 years.';
  end if;

  insert into async.request (task_id, status, error_message, duration)
  select t.task_id, in_status, v_message, in_duration
  from async.task t
  where t.task_id = any (in_task_ids) and t.processed is null
  order by t.task_id;
  perform async.wake_leader();

  select array_agg(
    coalesce(i.task_id::text, 'null') || case when t.task_id is null then ' (unknown)' else ' (finished)' end
    order by i.task_id)
  into v_refused
  from (select distinct u.task_id from unnest(in_task_ids) as u(task_id)) i
  left join async.task t on t.task_id = i.task_id
  where t.task_id is null or t.processed is not null;
  return (select format('not %s, since there is nothing to end: %s%s', lower(in_status::text),
    array_to_string(v_refused[1:c_named_ids_max], ', '),
    ' and ' || nullif(greatest(cardinality(v_refused) - c_named_ids_max, 0), 0) || ' more')
  where v_refused is not null);
end
$function$;
