-- What the examples of other languages use.
select async.configure('{
  "control": {"idle_sleep": 0.2},
  "targets": [{"target": "mail", "asynchronous_finish": true, "max_workers": 4, "default_timeout": "5 minutes"}]}');
create table orders (
  id bigint generated always as identity primary key,
  address varchar(100) not null,
  task_id bigint references async.task (task_id) on delete set null
);
