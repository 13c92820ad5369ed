-- Who reads which rows of async.result. The owner reads all. The result of a deleted task is not shown.
do $do$
begin
  if not exists (select from pg_catalog.pg_policy p where p.polrelid = 'async.result'::pg_catalog.regclass) then
    create policy readers_of_result on async.result for select using (exists (
      select from async.task t
      where t.task_id operator(pg_catalog.=) result.task_id and async.may_read_result(t.keep_result_for)));
  end if;
end
$do$;
