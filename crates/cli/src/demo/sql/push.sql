-- The tasks of the demo. The task_data of each contains its kind and its expected status; everything
-- else is what an application would write.

-- Bulk work with a low priority (a higher number): money moves between accounts.
select async.push_tasks(array_agg(async.task(
    format('update pgbench_accounts set abalance = abalance + %1$s where aid = %2$s;
            update pgbench_branches set bbalance = bbalance + %1$s where bid = %3$s;
            insert into pgbench_history (tid, bid, aid, delta) values (%4$s, %3$s, %2$s, %1$s)',
        n % 100, n * 7, 1 + n * 7 % 10, 1 + n % 100),
    t, jsonb_build_object('kind', 'transfer', 'expected', 'FINISHED'), 10) order by n, t), _source => 'pgasync demo')
from generate_series(1, 500) as n, unnest(array['north', 'south', 'west']) as t;

-- Reads, with an even lower priority.
select async.push_tasks(array_agg(async.task(
    format('select abalance from pgbench_accounts where aid = %s', n * 11),
    t, jsonb_build_object('kind', 'look-up', 'expected', 'FINISHED'), 20) order by n, t), _source => 'pgasync demo')
from generate_series(1, 500) as n, unnest(array['north', 'south', 'west']) as t;

-- Roll-ups. Those of north and south share the pool "reporting", so at most three run at once at the
-- two targets.
select async.push_tasks(array_agg(async.task(
    format('insert into account_rollup (bid, bucket, accounts, balance)
            select bid, %2$s, count(*), sum(abalance) from pgbench_accounts
            where bid = %1$s and aid %% 20 = %2$s group by bid', b, k),
    t, jsonb_build_object('kind', 'roll-up', 'expected', 'FINISHED'), 5,
    case when t <> 'west' then 'reporting' end) order by b, k, t), _source => 'pgasync demo')
from generate_series(1, 10) as b, generate_series(0, 19) as k, unnest(array['north', 'south', 'west']) as t
where k % 10 = b - 1;

-- Maintenance, one at a time on each target: what cannot run inside a transaction.
select async.push_tasks(array_agg(async.task(
    q.query, t, jsonb_build_object('kind', 'maintenance', 'expected', 'FINISHED'), 5, 'maintenance.' || t)
    order by t, n), _source => 'pgasync demo')
from unnest(array['north', 'south', 'west']) as t, unnest(array[
    'create index concurrently on pgbench_accounts (bid)',
    'create index concurrently on pgbench_history (aid, mtime)',
    'vacuum (analyze) pgbench_accounts',
    'vacuum (analyze) pgbench_branches',
    'vacuum (analyze) pgbench_tellers',
    'vacuum (analyze) pgbench_history']) with ordinality as q(query, n);

-- Procedures that commit several times.
select async.push_tasks(array_agg(async.task(
    format('call settle(%s)', b), t, jsonb_build_object('kind', 'procedure', 'expected', 'FINISHED'), 5)
    order by b, t), _source => 'pgasync demo')
from generate_series(1, 10) as b, unnest(array['north', 'south', 'west']) as t;

-- Long queries.
select async.push_tasks(array_agg(async.task(
    format('select pg_sleep(%s)', 0.2 * n), t, jsonb_build_object('kind', 'slow', 'expected', 'FINISHED'), 5)
    order by n, t), _source => 'pgasync demo')
from generate_series(1, 6) as n, unnest(array['north', 'south', 'west']) as t;

-- Some fail, each with an error of its own.
select async.push_tasks(array_agg(async.task(
    q.query, t, jsonb_build_object('kind', 'broken', 'expected', 'FAILED', 'expected_error', q.error), 5)
    order by t, q.query), _source => 'pgasync demo')
from unnest(array['north', 'south', 'west']) as t, (values
    ('select 1 / 0', 'division by zero'),
    ('insert into pgbench_branches (bid) values (1)', 'pgbench_branches_pkey'),
    ('do $$ begin raise exception ''no such customer''; end $$', 'no such customer'),
    ('select balance from no_such_table', 'no_such_table')) as q(query, error);

-- One runs out of time, and one is cancelled while it runs (by the demo, with async.cancel).
select async.push_tasks(array[
    async.task('select pg_sleep(600)', 'south', '{"kind": "endless", "expected": "TIMED_OUT"}', manual_timeout => '2 seconds'),
    async.task('select pg_sleep(600)', 'west', '{"kind": "canceled", "expected": "CANCELED"}')], _source => 'pgasync demo');

-- The server database is a target as well.
select async.push_tasks(array_agg(async.task(
    'select count(*) from async.task', 'SELF', jsonb_build_object('kind', 'census', 'expected', 'FINISHED'), 5)
    order by n), _source => 'pgasync demo')
from generate_series(1, 10) as n;

-- Pushed last and run first: its priority number is the lowest.
select async.push_tasks(array_agg(async.task(
    'select count(*) from pgbench_tellers', t, jsonb_build_object('kind', 'urgent', 'expected', 'FINISHED'), 1)
    order by n, t), _source => 'pgasync demo')
from generate_series(1, 10) as n, unnest(array['north', 'south', 'west']) as t;
