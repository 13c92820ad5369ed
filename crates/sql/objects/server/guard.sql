-- Prerequisites of the server part.
do $guard$
begin
  if to_regclass('async.client_control') is null then
    raise exception 'pgasync''s client part is not installed in this database'
      using errcode = 'object_not_in_prerequisite_state',
            hint = 'Run async.sql first, then this file';
  end if;
end
$guard$;
