-- The role that logged in to the server for the request. Null for one of the engine, and for requests from
-- before.
alter table async.request add column requested_by text;
alter table async.request alter column requested_by set default session_user;
-- REQUEST: the role that made it; END_*, UNREACHABLE: that of the request of the intention.
alter type async.event_t add attribute requested_by text;
-- The role whose request ended the attempt.
alter table async.attempt add column ended_by text;

-- They return another column, or have another argument.
drop function if exists async.step_task(async.task, text, async.finish_status_t, text, text, interval, interval,
  timestamptz);
drop function if exists async.write_all(bigint[], int[], timestamptz[], interval[], bigint[], int[], timestamptz[],
  async.event_t[], bool, bool, bigint);
drop function if exists async.write_events(async.event_t[]);
drop function if exists async.changed_task_rows();
drop function if exists async.lead_rows(bigint[]);
drop function if exists async.set_intention(int, timestamptz, async.finish_status_t, text, interval);
