"""A worker that pulls tasks of the target `mail` and runs them itself. The server is that of PG*.

It ends after SIGTERM or SIGINT when the present task has ended. Run as many of them as you like.
Packages: psycopg 3.
"""

import signal
import sys
import threading
import time

import psycopg

# Waits up to 10 seconds for a task. The deadline comes as seconds from now, because the clocks differ.
TAKE = """
select task_id, task_data, extract(epoch from times_up - clock_timestamp())::float8
from async.get_tasks('mail', 1, '10 seconds')"""
IS_OPEN = "select processed is null from async.task where task_id = %s"
FINISH = "select async.finish(array[%s::bigint], %s::async.finish_status_t, %s)"
DEFER = "select async.defer(array[%s::bigint], %s::interval)"

stopping = threading.Event()


class Later(Exception):
    """The task cannot be done now, and returns to the queue for the time in the message."""


def handle(data, is_over):
    """The work of a task. It looks at is_over() now and then: its result is not wanted any more if true."""
    if "@" not in data["to"]:
        raise ValueError(f"{data['to']!r} is no address")
    if time.time() < data.get("not_before", 0):
        raise Later("1 second")
    for _ in range(data.get("parts", 1)):
        if is_over():
            return
        time.sleep(0.1)
    print(f"mail to {data['to']}", flush=True)


class Heartbeat(threading.Thread):
    """Says whether a task is over: its deadline has passed, or a client has canceled or finished it."""

    def __init__(self, task, seconds):
        super().__init__(daemon=True)
        self.task, self.deadline = task, time.monotonic() + seconds
        self.over, self.done = threading.Event(), threading.Event()

    def is_over(self):
        return self.over.is_set() or time.monotonic() >= self.deadline

    def run(self):
        try:
            with psycopg.connect(autocommit=True) as connection:
                while not self.done.wait(1):
                    is_open = connection.execute(IS_OPEN, [self.task]).fetchone()
                    if not is_open or not is_open[0]:
                        self.over.set()
                        return
        except psycopg.OperationalError as error:
            print(f"task {self.task} is not watched: {error}", file=sys.stderr)


def work(task, data, seconds):
    """Runs one task. Returns the statement that reports its outcome, or None if it is over."""
    heartbeat = Heartbeat(task, seconds)
    heartbeat.start()
    try:
        handle(data, heartbeat.is_over)
        report = (FINISH, [task, "FINISHED", None])
    except Later as later:
        report = (DEFER, [task, str(later)])
    except Exception as error:
        report = (FINISH, [task, "FAILED", f"{type(error).__name__}: {error}"])
    finally:
        heartbeat.done.set()
    # After the deadline the task may belong to another worker, so nothing is reported.
    return None if heartbeat.is_over() else report


def run():
    report = None
    while not stopping.is_set() or report:
        try:
            with psycopg.connect(autocommit=True, application_name="mail worker") as connection:
                while not stopping.is_set() or report:
                    if report:
                        connection.execute(*report)
                        report = None
                    for task in [] if stopping.is_set() else connection.execute(TAKE).fetchall():
                        report = work(*task)
        except psycopg.OperationalError as error:
            # The connection is lost. A report that was lost is repeated: it changes nothing if it had arrived.
            print(f"trying again in a second: {error}", file=sys.stderr)
            time.sleep(1)


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    run()
