"""Pushes a task in a transaction of its own program: `push.py ADDRESS`. The server is that of PG*.

The order and its task exist both, or neither of them. Packages: psycopg 3.
"""

import sys

import psycopg
from psycopg.types.json import Jsonb

INSERT = "insert into orders (address) values (%s) returning id"
PUSH = "select async.push(null, 'mail', task_data => %s, timeout => '1 minute', unique_key => %s)"

with psycopg.connect() as connection:  # commits at the end, and rolls back after an error
    order = connection.execute(INSERT, [sys.argv[1]]).fetchone()[0]
    data = Jsonb({"to": sys.argv[1], "order": order})
    task = connection.execute(PUSH, [data, f"order {order}"]).fetchone()[0]
    connection.execute("update orders set task_id = %s where id = %s", [task, order])
print(f"order {order} is mailed by task {task}")
