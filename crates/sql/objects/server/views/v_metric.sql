-- The metrics, for any exporter that reads SQL: the names that pgasync run shows at /metrics, for both
-- engines. The counters are those of the present leader, or of the last one, and a few seconds old. The
-- gauges are computed now. Members of pg_monitor may read it.
create or replace view async.v_metric as
select m.name, m.labels, m.value
from async.read_metrics() m
order by m.name, m.labels;
