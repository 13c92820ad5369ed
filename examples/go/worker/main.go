// Worker pulls tasks of the target `mail` and runs them itself. The server is that of PG*.
//
// It ends after SIGTERM or SIGINT when the present task has ended. Run as many of them as you like.
// Modules: pgx 5.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Waits up to 10 seconds for a task. The deadline comes as seconds from now, because the clocks differ.
const take = `
select task_id, task_data, extract(epoch from times_up - clock_timestamp())::float8
from async.get_tasks('mail', 1, '10 seconds')`

const (
	isOpen = `select processed is null from async.task where task_id = $1`
	finish = `select async.finish(array[$1::bigint], $2::text::async.finish_status_t, $3::text)`
	later  = `select async.defer(array[$1::bigint], $2::text::interval)`
)

type mail struct {
	To        string  `json:"to"`
	Parts     int     `json:"parts"`
	NotBefore float64 `json:"not_before"`
}

// errLater says that the task cannot be done now, and returns to the queue for a second.
var errLater = errors.New("1 second")

// handle does the work of a task. It ends early with ctx: then its result is not wanted any more.
func handle(ctx context.Context, data mail) error {
	if !strings.Contains(data.To, "@") {
		return fmt.Errorf("%q is no address", data.To)
	}
	if float64(time.Now().UnixMilli())/1000 < data.NotBefore {
		return errLater
	}
	for part := 0; part < data.Parts || part == 0; part++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	fmt.Printf("mail to %s\n", data.To)
	return nil
}

// watch ends over when a client has canceled or finished the task.
func watch(ctx context.Context, task int64, over context.CancelFunc) {
	conn, err := pgx.Connect(ctx, "")
	if err == nil {
		defer conn.Close(context.Background())
	}
	open := true
	for err == nil {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
		if err = conn.QueryRow(ctx, isOpen, task).Scan(&open); errors.Is(err, pgx.ErrNoRows) || err == nil && !open {
			over()
			return
		}
	}
	if ctx.Err() == nil {
		log.Printf("task %d is not watched: %v", task, err)
	}
}

type report struct {
	statement string
	arguments []any
}

// work runs one task. It returns what reports its outcome, or nil if the task is over.
func work(task int64, data mail, seconds float64) *report {
	ctx, over := context.WithTimeout(context.Background(), time.Duration(seconds*float64(time.Second)))
	defer over()
	go watch(ctx, task, over)
	err := handle(ctx, data)
	switch {
	case ctx.Err() != nil:
		return nil // after the deadline the task may belong to another worker
	case errors.Is(err, errLater):
		return &report{later, []any{task, err.Error()}}
	case err != nil:
		return &report{finish, []any{task, "FAILED", err.Error()}}
	default:
		return &report{finish, []any{task, "FINISHED", nil}}
	}
}

// session works with one connection until stop ends. It returns a report that did not arrive.
func session(stop context.Context, last *report) (*report, error) {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, "")
	if err != nil {
		return last, err
	}
	defer conn.Close(ctx)
	for {
		if last != nil {
			if _, err := conn.Exec(ctx, last.statement, last.arguments...); err != nil {
				return last, err
			}
			last = nil
		}
		if stop.Err() != nil {
			return nil, nil
		}
		var task int64
		var data mail
		var seconds float64
		err := conn.QueryRow(ctx, take).Scan(&task, &data, &seconds)
		if err == nil {
			last = work(task, data, seconds)
		} else if !errors.Is(err, pgx.ErrNoRows) {
			return nil, err
		}
	}
}

func main() {
	stop, end := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer end()
	var last *report
	for stop.Err() == nil || last != nil {
		var err error
		// A report that was lost is repeated: it changes nothing if it had arrived.
		if last, err = session(stop, last); err != nil {
			log.Printf("trying again in a second: %v", err)
			time.Sleep(time.Second)
		}
	}
}
