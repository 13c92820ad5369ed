-- Values that the comparisons exchange with SQL. Times are microseconds since 1970; the largest number is infinity.
create schema judged;

create function judged.at(in_micros bigint) returns timestamptz language sql immutable as $$
  select case when in_micros = 9223372036854775807 then 'infinity'
    else timestamptz 'epoch' + in_micros * interval '1 microsecond' end
$$;

create function judged.span(in_micros bigint) returns interval language sql immutable as $$
  select in_micros * interval '1 microsecond'
$$;

create function judged.micros(in_at timestamptz) returns bigint language sql immutable as $$
  select case when in_at = 'infinity' then 9223372036854775807 else round(extract(epoch from in_at) * 1000000)::bigint end
$$;

create function judged.length(in_interval interval) returns bigint language sql immutable as $$
  select round(extract(epoch from in_interval)::numeric * 1000000)::bigint
$$;

create function judged.task(in_row jsonb) returns async.task language sql immutable as $$
  select jsonb_populate_record(null::async.task, in_row || jsonb_build_object(
    'consumed', judged.at((in_row ->> 'consumed')::bigint),
    'processed', judged.at((in_row ->> 'processed')::bigint),
    'yielded', judged.at((in_row ->> 'yielded')::bigint),
    'times_up', judged.at((in_row ->> 'times_up')::bigint),
    'eligible_when', judged.at((in_row ->> 'eligible_when')::bigint),
    'run_at', judged.at((in_row ->> 'run_at')::bigint),
    'expires_at', judged.at((in_row ->> 'expires_at')::bigint),
    'manual_timeout', judged.span((in_row ->> 'manual_timeout')::bigint)))
$$;

create function judged.contract(
  in_consumed timestamptz, in_processed timestamptz, in_yielded timestamptz, in_finish_status async.finish_status_t,
  in_failed bool, in_processing_error text, in_times_up timestamptz, in_tracked bool, in_eligible_when timestamptz,
  in_run int, in_attempt int, in_ended_by text
) returns jsonb language sql immutable as $$
  select jsonb_build_object(
    'consumed', judged.micros(in_consumed), 'processed', judged.micros(in_processed),
    'yielded', judged.micros(in_yielded), 'finish_status', in_finish_status, 'failed', in_failed,
    'processing_error', in_processing_error, 'times_up', judged.micros(in_times_up), 'tracked', in_tracked,
    'eligible_when', judged.micros(in_eligible_when), 'run', in_run,
    'attempt', coalesce(in_attempt, 0), 'ended_by', in_ended_by)
$$;

create function judged.texts(in_array jsonb) returns text[] language sql immutable as $$
  select array(select jsonb_array_elements_text(in_array))
$$;

-- An event as the writer takes it: what RowEvent says, for a task.
create function judged.event(in_it jsonb, in_now timestamptz) returns async.event_t language sql stable as $$
  select row(
    (in_it ->> 'id')::bigint, (in_it ->> 'run')::int, in_it ->> 'name', in_now,
    (in_it ->> 'status')::async.finish_status_t, in_it ->> 'message', in_it ->> 'known',
    judged.span((in_it ->> 'duration')::bigint), judged.span((in_it ->> 'timeout')::bigint),
    case when in_it ? 'requests' then judged.texts(in_it -> 'requests')::bigint[] end,
    in_it ->> 'result', in_it ->> 'requested_by')::async.event_t
$$;
