// Push pushes a task in a transaction of its own program: `push ADDRESS`. The server is that of PG*.
//
// The order and its task exist both, or neither of them. Modules: pgx 5.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/jackc/pgx/v5"
)

const push = `select async.push(null, 'mail', task_data => $1, timeout => '1 minute', unique_key => $2)`

func run(ctx context.Context, address string) error {
	conn, err := pgx.Connect(ctx, "")
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx) // does nothing after the commit

	var order, task int64
	err = tx.QueryRow(ctx, "insert into orders (address) values ($1) returning id", address).Scan(&order)
	if err != nil {
		return err
	}
	data := map[string]any{"to": address, "order": order}
	err = tx.QueryRow(ctx, push, data, fmt.Sprintf("order %d", order)).Scan(&task)
	if err != nil {
		return err
	}
	if _, err = tx.Exec(ctx, "update orders set task_id = $1 where id = $2", task, order); err != nil {
		return err
	}
	if err = tx.Commit(ctx); err != nil {
		return err
	}
	fmt.Printf("order %d is mailed by task %d\n", order, task)
	return nil
}

func main() {
	if err := run(context.Background(), os.Args[1]); err != nil {
		log.Fatal(err)
	}
}
