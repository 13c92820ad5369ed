-- The most sessions that the leader has at a target, over all pools. Null is no limit.
alter table async.target add column max_sessions int
  constraint target_max_sessions_positive check (max_sessions > 0);
