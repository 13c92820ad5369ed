-- Which targets clients and administrators may use. '*' is every target but the server itself.
create or replace view async.v_grant as
select g.grantee, g.level, g.targets, g.reaches_self
from async.role_grant g
join pg_catalog.pg_roles r on r.oid operator(pg_catalog.=) g.grantee::pg_catalog.oid;
