-- The schemas in which triggers on async.task and routines find unqualified names. The end of the installation
-- sets it.
alter table async.control add column trigger_search_path text[];

-- This function has other arguments now.
drop function if exists async.check_constraints(text);
