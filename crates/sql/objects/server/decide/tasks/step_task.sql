-- Purpose: the transition of one task: the row after an event (see async.event_t). Decides and
--   writes nothing. The arguments are those of the event; in_now is the time of the event.
-- Returns: one row. rejected is the reason why nothing changes; otherwise the other columns are the
--   new values of the row.
--   rejected                                          when
--   the task has ended as S; only a restart moves it  FINISHED; neither RESTART nor RELEASE
--   the task has not finished                         RESTART, RELEASE; not FINISHED
--   the task holds no slot                            RELEASE; not tracked
--   the task does not wait                            CLAIM, OFFER, PROMOTE, GIVE_UP; not READY, or
--                                                     PROMOTE, GIVE_UP of an offered task
--   the task is for clients to pull; offer it         CLAIM without a query
--   the task has a query; claim it                    OFFER with a query
--   the task is offered already                       OFFER
--   the task may not run yet                          CLAIM, OFFER, PROMOTE before eligible_when
--   the task waits for no time                        PROMOTE without eligible_when
--   the task's deadline has passed                    CLAIM, OFFER, TAKE at or after times_up
--   the task is not offered                           TAKE, WITHDRAW
--   no query of the task runs                         GIVE_BACK, END_*, UNREACHABLE; not RUNNING
--                                                     with a query
--   a query of the task runs                          REQUEST, DEADLINE; RUNNING with a query
--   the request names no status                       REQUEST
--   DEFERRED needs a duration; say how long the task should wait
--                                                     REQUEST
--   the task's deadline has not come                  DEADLINE, UNREACHABLE before times_up
--   the task has a receipt, which says how it ends    UNREACHABLE
--   there is no such event                            any other name
--   the task has expired; push it anew                RESTART at or after expires_at
--   A task that becomes READY is not eligible before run_at, and times_up is never later than
--   expires_at.
--   The phases (a CHECK cannot state them: they are derived, see async.task_execution_state):
--   phase     becomes
--   READY     RUNNING (CLAIM, TAKE), FINISHED or YIELDED (REQUEST, DEADLINE, GIVE_UP), READY (OFFER,
--             WITHDRAW, PROMOTE, REQUEST, a retry)
--   RUNNING   READY (GIVE_BACK, a deferral, a pause or a retry), YIELDED or FINISHED (END_*,
--             UNREACHABLE; REQUEST and DEADLINE of a pulled task)
--   YIELDED   FINISHED (REQUEST, DEADLINE), READY (a deferral, a pause or a retry)
--   FINISHED  READY (RESTART), FINISHED (RELEASE)
--   A task with a policy whose attempt fails is READY again if async.retry_delay gives a delay.
--   attempt counts the failed attempts. ended_as, ended_with and attempt_ended_by are the status, the
--   error and the role of the attempt that async.attempt notes; null for none.
-- Raises: nothing.
-- Locks: none. (No SET clause: the planner inlines the function into the statements that use it.
--   The offsets prevent it from copying a computed value into every column.)
-- (Longer than a screen: one expression, which the planner inlines.)
create or replace function async.step_task(
  t async.task,
  in_event text,
  in_status async.finish_status_t,
  in_message text,
  in_known text,
  in_duration interval,
  in_timeout interval,
  in_requested_by text,
  in_now timestamptz
) returns table (
  rejected text,
  consumed timestamptz,
  processed timestamptz,
  yielded timestamptz,
  finish_status async.finish_status_t,
  failed bool,
  processing_error text,
  times_up timestamptz,
  tracked bool,
  eligible_when timestamptz,
  run int,
  attempt int,
  ended_by text,
  ended_as async.finish_status_t,
  ended_with text,
  attempt_ended_by text
) language sql immutable as $function$
  select
    s.rejected,
    case s.next_phase when 'RUNNING' then in_now when 'READY' then null else t.consumed end,
    case s.next_phase when 'FINISHED' then in_now when 'KEPT' then t.processed end,
    case s.next_phase
      when 'YIELDED' then coalesce(t.yielded, in_now)
      when 'FINISHED' then t.yielded
      when 'KEPT' then t.yielded
    end,
    case s.next_phase
      when 'YIELDED' then s.status
      when 'FINISHED' then s.status
      when 'KEPT' then t.finish_status
    end,
    case s.next_phase when 'FINISHED' then s.status <> 'FINISHED' when 'KEPT' then t.failed end,
    case s.next_phase when 'FINISHED' then s.error when 'KEPT' then t.processing_error end,
    case
      when in_event = 'RESTART' or s.delay is not null then t.expires_at
      -- Before a claim, times_up is null or expires_at.
      when in_event in ('CLAIM', 'TAKE') then least(t.expires_at,
        coalesce(nullif(t.times_up, t.expires_at), in_now + coalesce(t.manual_timeout, in_timeout), 'infinity'))
      -- The deadline of a first claim is removed with the claim. A deadline that a deferral
      -- preserved stays.
      when in_event = 'GIVE_BACK' and t.times_up = least(t.expires_at, coalesce(
          t.consumed + coalesce(t.manual_timeout, in_timeout), 'infinity')) then t.expires_at
      else t.times_up
    end,
    case
      when in_event in ('CLAIM', 'TAKE', 'OFFER') then true
      when in_event = 'RELEASE' then false
      when in_event = 'UNREACHABLE' or s.phase = s.next_phase and s.phase = 'YIELDED' then t.tracked
      when s.next_phase = 'FINISHED' then case when t.tracked then false else t.tracked end
      when s.next_phase = 'YIELDED' then case when t.tracked and t.track_yielded then true end
    end,
    case
      when s.next_phase = 'KEPT' then t.eligible_when
      when in_event = 'OFFER' then null
      when s.next_phase = 'READY' then greatest(
        case when t.run_at > in_now then t.run_at end,
        case
          when s.delay is not null then in_now + s.delay
          when in_event in ('REQUEST', 'END_OK', 'END_ERROR', 'END_UNKNOWN') then in_now + in_duration
        end)
    end,
    -- A task that is given back keeps its run number: the launch marks may contain the run.
    t.run + case when in_event in ('CLAIM', 'TAKE') then 1 else 0 end,
    case
      when t.retry is null then t.attempt
      when in_event = 'RESTART' then 0
      when s.failure is not null then t.attempt + 1
      else t.attempt
    end,
    case s.next_phase when 'FINISHED' then s.ended_by when 'KEPT' then t.ended_by end,
    case when s.is_noted then s.status end,
    case when s.is_noted then s.error end,
    case when s.is_noted then s.ended_by end
  from (
    select
      r.phase,
      r.status,
      r.error,
      r.ended_by,
      r.failure,
      r.delay,
      -- A success at the first attempt is not noted.
      t.retry is not null and (r.failure is not null
        or (t.consumed is not null or t.yielded is not null)
          and r.status in ('FINISHED', 'FAILED', 'CANCELED', 'TIMED_OUT', 'DOA')
          and (r.status <> 'FINISHED' or t.attempt > 0)) as is_noted,
      case
        when r.delay is not null then 'READY'
        when in_event in ('CLAIM', 'TAKE') then 'RUNNING'
        when in_event = 'RELEASE' then 'KEPT'
        when r.status in ('FINISHED', 'FAILED', 'CANCELED', 'TIMED_OUT', 'DOA') then 'FINISHED'
        when r.status = 'YIELDED' then 'YIELDED'
        else 'READY'
      end as next_phase,
      case
        when in_event = 'RESTART' then case
          when r.phase <> 'FINISHED' then 'the task has not finished'
          when t.expires_at <= in_now then 'the task has expired; push it anew'
        end
        when in_event = 'RELEASE' then case
          when r.phase <> 'FINISHED' then 'the task has not finished'
          when t.tracked is not true then 'the task holds no slot'
        end
        when r.phase = 'FINISHED' then 'the task has ended as ' || t.finish_status || '; only a restart moves it'
        when in_event in ('CLAIM', 'OFFER') then case
          when r.phase <> 'READY' then 'the task does not wait'
          when in_event = 'CLAIM' and t.query is null then 'the task is for clients to pull; offer it'
          when in_event = 'OFFER' and t.query is not null then 'the task has a query; claim it'
          when in_event = 'OFFER' and t.tracked then 'the task is offered already'
          when t.eligible_when > in_now then 'the task may not run yet'
          when t.times_up <= in_now then 'the task''s deadline has passed'
        end
        when in_event = 'GIVE_UP' and (r.phase <> 'READY' or t.query is null and t.tracked) then 'the task does not wait'
        when in_event = 'GIVE_UP' then null
        when in_event in ('TAKE', 'WITHDRAW') then case
          when r.phase <> 'READY' or t.query is not null or t.tracked is not true
            then 'the task is not offered'
          when in_event = 'TAKE' and t.times_up <= in_now then 'the task''s deadline has passed'
        end
        when in_event = 'PROMOTE' then case
          when r.phase <> 'READY' or t.query is null and t.tracked then 'the task does not wait'
          when t.eligible_when is null then 'the task waits for no time'
          when t.eligible_when > in_now then 'the task may not run yet'
        end
        when in_event in ('GIVE_BACK', 'END_OK', 'END_ERROR', 'END_UNKNOWN', 'UNREACHABLE') then case
          when r.phase <> 'RUNNING' or t.query is null then 'no query of the task runs'
          when in_event = 'UNREACHABLE' and t.receipt then 'the task has a receipt, which says how it ends'
          when in_event = 'UNREACHABLE' and coalesce(t.times_up, 'infinity') > in_now
            then 'the task''s deadline has not come'
        end
        when r.phase = 'RUNNING' and t.query is not null then 'a query of the task runs'
        when in_event = 'REQUEST' then case
          when in_status is null then 'the request names no status'
          when in_status = 'DEFERRED' and in_duration is null
            then 'DEFERRED needs a duration; say how long the task should wait'
        end
        when in_event = 'DEADLINE' then case
          when t.times_up is null or t.times_up > in_now then 'the task''s deadline has not come'
        end
        else 'there is no such event'
      end as rejected
    from (
      select p.*,
        -- An attempt that would begin after the end of all attempts does not take place.
        case when p.failure is not null then (
          select d.delay
          from (select async.retry_delay(t.retry, t.task_id, t.attempt + 1, p.failure, p.error) as delay) d
          where t.expires_at is null or in_now + d.delay < t.expires_at)
        end as delay
      from (
        select
          case
            when t.processed is not null then 'FINISHED'
            when t.yielded is not null then 'YIELDED'
            when t.consumed is not null then 'RUNNING'
            else 'READY'
          end as phase,
          case in_event
            when 'END_OK' then case
              -- The query committed before the cancel reached it.
              when in_status is null or in_status in ('CANCELED', 'TIMED_OUT', 'PAUSED')
                then case when t.asynchronous_finish then 'YIELDED' else 'FINISHED' end::async.finish_status_t
              else in_status
            end
            when 'END_ERROR' then coalesce(in_status, 'FAILED')
            -- The query may have committed, so a pause does not run it again.
            when 'END_UNKNOWN' then coalesce(nullif(in_status, 'PAUSED'), 'FAILED')
            when 'REQUEST' then in_status
            when 'DEADLINE' then 'TIMED_OUT'
            when 'UNREACHABLE' then 'TIMED_OUT'
            when 'GIVE_UP' then 'FAILED'
          end as status,
          case
            when in_event = 'END_OK'
              and (in_status is null or in_status in ('CANCELED', 'TIMED_OUT', 'PAUSED')) then null
            when in_event in ('DEADLINE', 'UNREACHABLE') or in_status = 'TIMED_OUT'
              then coalesce(in_message, 'the task did not finish in time')
                || case when in_event in ('UNREACHABLE', 'END_UNKNOWN') then coalesce(E'\n' || in_known, '') else '' end
            when in_event in ('END_ERROR', 'END_UNKNOWN') and in_status is null then in_known
            -- The cancel is not confirmed: it may have come too late.
            when in_event = 'END_UNKNOWN' and in_status = 'CANCELED'
              then coalesce(in_message || E'\n' || in_known, in_message, in_known)
            -- A pause is not confirmed either, and the task fails.
            when in_event = 'END_UNKNOWN' and in_status = 'PAUSED' then in_known
            else in_message
          end as error,
          -- A request that did not count has no role.
          case
            when in_event = 'END_OK' and in_status in ('CANCELED', 'TIMED_OUT', 'PAUSED')
              or in_event = 'END_UNKNOWN' and in_status = 'PAUSED' then null
            else in_requested_by
          end as ended_by,
          -- How the attempt failed. A request beats a retry, except one that says FAILED of a task that
          -- a client works on.
          case
            when t.retry is null or t.processed is not null then null
            when in_event = 'END_ERROR' and in_status is null then 'error'
            when in_event = 'DEADLINE' and t.consumed is null and t.yielded is null
              or in_event = 'END_ERROR' and in_status = 'TIMED_OUT' and in_message is null then 'timeout'
            when in_event = 'END_UNKNOWN' and (in_status is null or in_status = 'PAUSED') then 'unknown'
            when in_event = 'END_UNKNOWN' and in_status = 'TIMED_OUT' and in_message is null
              or in_event = 'DEADLINE' then 'unknown timeout'
            -- The query may still run, so it is not retried.
            when in_event = 'UNREACHABLE' then 'lost'
            when in_event = 'GIVE_UP' then 'unreachable'
            when in_event = 'REQUEST' and in_status = 'FAILED' and (t.consumed is not null or t.yielded is not null)
              then 'reported'
          end as failure
        offset 0
      ) p
      offset 0
    ) r
    offset 0
  ) s
$function$;
