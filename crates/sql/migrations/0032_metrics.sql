-- The counters of the leader (docs/decisions/2026-11-29-metrics.md). It publishes them every few seconds if they
-- have changed. async.v_metric shows them.
create table async.metric (
  metric text not null,
  labels jsonb not null,
  -- The epoch of the leader that counted. The next leader begins with zero.
  epoch bigint not null,
  -- The count. For a histogram the sum of all observations.
  value float8 not null,
  -- For a histogram the observations in each bucket (async.metric_bounds); one more than the bounds.
  buckets bigint[],
  constraint metric_pkey primary key (metric, labels)
) with (fillfactor = 50);
