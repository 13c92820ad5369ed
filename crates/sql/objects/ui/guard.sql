-- Prerequisites of the views of administrators.
do $guard$
begin
  if to_regclass('async.control') is null then
    raise exception 'pgasync''s server part is not installed in this database'
      using errcode = 'object_not_in_prerequisite_state',
            hint = 'Run async.sql and async_server.sql first, then this file';
  end if;
end
$guard$;
