-- Messages of requests are cut when they are written now.
update async.request set error_message = pg_catalog.left(error_message, 16384)
where pg_catalog.octet_length(error_message) > 65536;

-- It returns why a query is not launched, too.
drop function if exists async.lead_mark(bigint, bigint[], int[], bigint[]);
