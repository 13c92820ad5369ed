-- Purpose: checks a schedule whose defaults are filled in. The target is checked as a push to it is;
--   for a tag, the first target that has it, if there is one.
-- Returns: nothing.
-- Raises: PA0A1; PA0A0 for the times; the errors of async.push_many about the target and the options.
--   Each names the schedule (in_path) and the option.
-- Locks: none.
-- (Longer than a screen: a list of checks.)
create or replace function async.check_schedule(
  in_path text, in_caller name, in_scope async.scope_t, in_schedule async.schedule) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_overlaps constant text[] := async.schedule_overlaps();
  c_catch_ups constant text[] := async.schedule_catch_ups();
  s constant async.schedule := in_schedule;
  v_target text;
  v_hint text;
  v_why text;
begin
  if btrim(coalesce(s.schedule, ''), E' \t\n\r\f\x0b') = '' then
    perform async.refuse_schedule_option('schedule', 'name', 'must not be empty', 'Name it: nightly_load');
  elsif octet_length(s.schedule) > async.name_bytes_max() then
    perform async.refuse_schedule_option('schedule', 'name', format('is too long (%s bytes)', octet_length(s.schedule)),
      format('It may have %s bytes.', async.name_bytes_max()));
  elsif btrim(coalesce(s.target, ''), E' \t\n\r\f\x0b') in ('', 'tag:') then
    perform async.refuse_schedule_option(in_path, 'target', format('must name a target or tag:NAME, not %s',
      coalesce(quote_literal(s.target), 'null')), async.hint_of_targets(in_caller));
  elsif octet_length(s.target) > async.name_bytes_max() then
    perform async.refuse_schedule_option(in_path, 'target', format('is too long (%s bytes)', octet_length(s.target)),
      format('It may have %s bytes.', async.name_bytes_max()));
  elsif s.overlap <> all (c_overlaps) then
    perform async.refuse_schedule_option(in_path, 'overlap', format('must be one of %s, not %L',
      array_to_string(c_overlaps, ', '), left(s.overlap, 100)),
      'It says what happens while the task of an earlier time has not ended.');
  elsif s.catch_up <> all (c_catch_ups) then
    perform async.refuse_schedule_option(in_path, 'catch_up', format('must be one of %s, not %L',
      array_to_string(c_catch_ups, ', '), left(s.catch_up, 100)),
      'It says which times fire later when no orchestrator could fire them.');
  elsif s.catch_up = 'all' and s.overlap not in ('buffer_all', 'allow_all') then
    perform async.refuse_schedule_option(in_path, 'catch_up', format('must not be all with overlap %L', s.overlap),
      'Use overlap buffer_all or allow_all, or catch_up last.');
  elsif s.expires_after <= '0' or not async.is_usable_duration(s.expires_after) then
    perform async.refuse_schedule_option(in_path, 'expires_after', format('must be longer than 0 and at most 10000 years, '
      'not %s', s.expires_after), 'Leave it out for tasks that do not expire.');
  elsif octet_length(s.source) > async.name_bytes_max() then
    perform async.refuse_schedule_option(in_path, 'source', format('is too long (%s bytes)', octet_length(s.source)),
      format('It may have %s bytes.', async.name_bytes_max()));
  elsif octet_length(s.query) > async.query_bytes_max() then
    perform async.refuse_schedule_option(in_path, 'query', format('is too long (%s bytes)', octet_length(s.query)),
      format('It may have %s bytes.', async.query_bytes_max()));
  elsif pg_column_size(s.task_data) > async.task_data_bytes_max() then
    perform async.refuse_schedule_option(in_path, 'task_data', format('is too large (%s bytes)', pg_column_size(s.task_data)),
      format('It may have %s bytes.', async.task_data_bytes_max()));
  end if;
  if s.receipt then
    v_why := async.refuse_receipt(s.query);
    if v_why is not null then
      perform async.refuse_schedule_option(in_path, 'receipt', format('its query %s, so it can have no receipt', v_why),
        'A receipt needs a query that is one transaction.');
    end if;
  end if;
  v_target := (async.schedule_targets(s.target, in_scope))[1];
  if v_target is not null then
    begin
      -- Nothing is inserted.
      perform from async.prepare_push(in_caller, in_scope, array[row(s.task_data, v_target, s.priority, s.query,
        s.concurrency_pool, s.timeout, s.track_yielded)::async.task_push_t], 'EXECUTE', array[s.retry]);
      perform async.check_receipt_target('', v_target) where s.receipt;
    exception when others then
      if sqlstate not like 'PA%' then
        raise;
      end if;
      get stacked diagnostics v_hint = pg_exception_hint;
      raise exception '%', in_path || ': ' || regexp_replace(sqlerrm, '^task 1: ', '')
        using errcode = sqlstate, hint = v_hint;
    end;
  end if;
end
$function$;
