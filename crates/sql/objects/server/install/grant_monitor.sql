-- Members of pg_monitor may read the metrics: an exporter needs no other right.
do $grant_monitor$
begin
  grant usage on schema async to pg_monitor;
  grant select on async.v_metric to pg_monitor;
  grant execute on function async.read_metrics() to pg_monitor;
end
$grant_monitor$;
