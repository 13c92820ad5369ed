-- The receipts that runs may have written at targets. A row is written with the launch mark, and unlike it
-- survives a crash: a claimed task with the option receipt that has none for its run was not launched.
create table async.receipt (
  task_id bigint,
  run int,
  -- The rest of the key at the target.
  server_id text not null,
  election text not null,
  -- The session of the run in async.session.
  session_id bigint not null,
  target text not null,
  marked timestamptz not null default clock_timestamp(),
  constraint receipt_key primary key (task_id, run)
);
create index receipt_session on async.receipt (session_id);
create index receipt_marked on async.receipt (target, marked);

alter table async.target add column receipts bool not null default false;
-- How long receipts stay at their targets after their tasks have ended.
alter table async.control add column receipt_keep interval not null default '7 days'
  constraint control_receipt_keep_not_negative check (receipt_keep >= '0');
alter table async.schedule add column receipt bool;

-- The role that wrote the session off.
alter table async.session add column written_off_by text;
-- The session is known to be gone, and stays for the receipt of a run that is not recorded.
alter table async.session add column settled bool not null default false;

-- They return another column, or have another argument.
drop function if exists async.lead_mark(bigint, bigint[], int[], bigint[]);
drop function if exists async.lead_rows(bigint[]);
drop function if exists async.lead_heads(text[], text[], bool[], int[], int[], timestamptz[], bigint[]);
drop function if exists async.lead_arrivals(txid_snapshot, int);
drop function if exists async.orphan_event(bigint, int, bool, bool, text, timestamptz);
drop function if exists async.schedule(text, text, text, text, text, text, text, int, text, interval, jsonb, bool, text,
  text, interval);
