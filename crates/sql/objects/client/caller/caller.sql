-- Purpose: the role that reads it, with a hash that proves to SECURITY DEFINER functions
--   (async.scope_of) that they were called for that role: of the role, the backend, the transaction
--   and a key. The view reads the key as its owner. current_user is the reader's, so a reader gets
--   the hash of its own role only. Operators and functions are qualified, since the path is the
--   caller's when the view is made.
create or replace view async.caller with (security_barrier) as
select
  u.caller,
  pg_catalog.sha256(
    pg_catalog.int4send(pg_catalog.pg_backend_pid())
    operator(pg_catalog.||) pg_catalog.timestamptz_send(pg_catalog.transaction_timestamp())
    operator(pg_catalog.||) pg_catalog.convert_to(u.caller::pg_catalog.text, pg_catalog.getdatabaseencoding())
    operator(pg_catalog.||) (select k.secret from async.caller_key k)) as ticket
from (select current_user::pg_catalog.name as caller) u;
