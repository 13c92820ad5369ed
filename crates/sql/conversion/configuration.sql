-- Targets, pools and settings go on.
update async.client_control set client_only = false;

-- A pool with the name of a target was the limit of the target.
update async.target t set max_concurrency = p.max_workers
from async.concurrency_pool p
where p.concurrency_pool = t.target and p.max_workers is distinct from t.max_concurrency;
delete from async.concurrency_pool p where p.concurrency_pool in (select t.target from async.target t);
update async.target t set
  max_concurrency = coalesce(t.max_concurrency, 8),
  asynchronous_finish = coalesce(t.asynchronous_finish, false),
  concurrency_track_yielded = coalesce(t.concurrency_track_yielded, false)
where t.max_concurrency is null or t.asynchronous_finish is null or t.concurrency_track_yielded is null;
alter table async.target
  alter column max_concurrency set default 8,
  alter column max_concurrency set not null,
  alter column asynchronous_finish set default false,
  alter column asynchronous_finish set not null,
  alter column concurrency_track_yielded set default false,
  alter column concurrency_track_yielded set not null,
  add column session_reset bool not null default true,
  add column retired bool not null default false,
  add constraint target_max_concurrency_not_negative check (max_concurrency >= 0);

update async.concurrency_pool p set max_workers = 8 where p.max_workers is null;
alter table async.concurrency_pool
  alter column max_workers set default 8,
  alter column max_workers set not null,
  add column retired bool not null default false,
  add constraint concurrency_pool_max_workers_not_negative check (max_workers >= 0);

insert into async.control default values on conflict do nothing;
update async.control c set
  enabled = coalesce(c.enabled, true),
  workers = coalesce(c.workers, 20),
  idle_sleep = coalesce(c.idle_sleep, 1.0),
  heavy_maintenance_sleep = coalesce(c.heavy_maintenance_sleep, '24 hours'),
  task_keep_duration = coalesce(c.task_keep_duration, '30 days'),
  advisory_mutex_id = coalesce(c.advisory_mutex_id, 0),
  self_target = coalesce(c.self_target, 'async.self'),
  -- The library reached itself by the string of the target.
  self_connection_string = coalesce(
    (select t.connection_string from async.target t where t.target = coalesce(c.self_target, 'async.self')),
    c.self_connection_string, 'host=localhost'),
  self_concurrency = coalesce(
    (select t.max_concurrency from async.target t where t.target = coalesce(c.self_target, 'async.self')),
    c.self_concurrency, 4),
  running_since = null,
  pid = null,
  busy_sleep = coalesce(c.busy_sleep, 0.01),
  light_maintenance_sleep = coalesce(c.light_maintenance_sleep, '5 minutes'),
  default_concurrency_pool_workers = coalesce(c.default_concurrency_pool_workers, 4),
  version = '0.1.0',
  debug_log = coalesce(c.debug_log, false);
drop index if exists async.control_expr_idx;
create unique index control_one_row on async.control ((true));
alter table async.control
  alter column enabled set default true,
  alter column enabled set not null,
  alter column workers set default 20,
  alter column workers set not null,
  alter column idle_sleep set default 1.0,
  alter column idle_sleep set not null,
  alter column heavy_maintenance_sleep set default '24 hours',
  alter column heavy_maintenance_sleep set not null,
  alter column task_keep_duration set default '30 days',
  alter column task_keep_duration set not null,
  alter column default_timeout set default '1 hour',
  alter column advisory_mutex_id set default 0,
  alter column advisory_mutex_id set not null,
  alter column self_target set default 'async.self',
  alter column self_target set not null,
  alter column self_connection_string set default 'host=localhost',
  alter column self_connection_string set not null,
  alter column self_concurrency set default 4,
  alter column self_concurrency set not null,
  alter column busy_sleep set default 0.01,
  alter column busy_sleep set not null,
  alter column light_maintenance_sleep set default '5 minutes',
  alter column light_maintenance_sleep set not null,
  alter column default_concurrency_pool_workers set default 4,
  alter column default_concurrency_pool_workers set not null,
  alter column version set default '0.1.0',
  alter column version set not null,
  alter column debug_log set default false,
  alter column debug_log set not null,
  add column target_patience interval not null default '1 minute',
  add column takeover_grace interval not null default '10 seconds',
  add constraint control_workers_positive check (workers > 0),
  add constraint control_self_concurrency_positive check (self_concurrency > 0);
insert into async.target (target, max_concurrency, connection_string)
select c.self_target, c.self_concurrency, c.self_connection_string
from async.control c
where not exists (select from async.target t where t.target = c.self_target);
update async.target t set connection_string = c.self_connection_string
from async.control c
where t.target = c.self_target and t.connection_string is null;

-- The log.
update async.server_log l set
  happened = coalesce(l.happened, now()), level = coalesce(l.level, 'NOTICE'), message = coalesce(l.message, '')
where l.happened is null or l.level is null or l.message is null;
alter table async.server_log
  alter column happened set default clock_timestamp(),
  alter column happened set not null,
  alter column level set not null,
  alter column message set not null;
drop index if exists async.server_log_happened_idx;
create index server_log_happened on async.server_log (happened);
