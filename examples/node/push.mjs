// Pushes a task in a transaction of its own program: `node push.mjs ADDRESS`. The server is that of PG*.
//
// The order and its task exist both, or neither of them. Packages: pg 8.
import pg from 'pg';

const [address] = process.argv.slice(2);
const push = `select async.push(null, 'mail', task_data => $1, timeout => '1 minute', unique_key => $2) as task`;

const client = new pg.Client();
await client.connect();
try {
  await client.query('begin');
  const order = (await client.query('insert into orders (address) values ($1) returning id', [address])).rows[0].id;
  const data = JSON.stringify({ to: address, order });
  const { task } = (await client.query(push, [data, `order ${order}`])).rows[0];
  await client.query('update orders set task_id = $1 where id = $2', [task, order]);
  await client.query('commit');
  console.log(`order ${order} is mailed by task ${task}`); // a bigint is a string in pg
} finally {
  await client.end(); // rolls back what is not committed
}
