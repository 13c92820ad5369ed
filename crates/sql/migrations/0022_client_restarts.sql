-- A restart takes several tasks.
drop function if exists async.restart_as(name, bytea, bigint, async.scope_t);
