-- It returns more columns than before.
drop function if exists async.read_results(text);
