-- New requests have their messages cut at 64 KiB.
update async.request set error_message = pg_catalog.left(error_message, 16384)
where pg_catalog.octet_length(error_message) > 65536;

-- Functions whose results differ now.
drop function if exists
  async.lead_mark(bigint, bigint[], int[], bigint[]),
  async.read_identity(text);
