-- A pool may limit how many of its tasks start in a time.
alter table async.concurrency_pool
  add column starts_max int not null default 0,
  add column interval interval,
  add constraint concurrency_pool_starts_max_is_not_negative check (starts_max >= 0),
  add constraint concurrency_pool_interval_is_positive check (interval > '0'),
  add constraint concurrency_pool_starts_have_an_interval check (starts_max = 0 or interval is not null);
