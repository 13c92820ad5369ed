-- The schemas in which triggers on async.task and routines find what they name without one; set at the end of the
-- installation.
alter table async.control add column trigger_search_path text[];

-- Functions whose arguments differ now.
drop function if exists async.check_constraints(text);
