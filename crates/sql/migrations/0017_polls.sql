-- The SQL engine reads what has arrived, and not the fronts of all lanes.
drop function if exists async.refresh_lanes(timestamptz), async.find_idle_sessions(text[]);
