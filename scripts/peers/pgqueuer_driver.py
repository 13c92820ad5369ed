"""CONCURRENCY JOBS: pushes jobs that do nothing, runs them, prints jobs a second."""

import asyncio
import logging
import os
import sys
import time

import asyncpg
from pgqueuer import PgQueuer, Queries
from pgqueuer.models import Job
from pgqueuer.types import QueueExecutionMode


async def main(concurrency: int, jobs: int) -> None:
    pool = await asyncpg.create_pool(os.environ["PGASYNC_BENCH_URL"], min_size=2, max_size=concurrency + 4)
    queries = Queries.from_asyncpg_pool(pool)
    await queries.install()
    for first in range(0, jobs, 5000):
        count = min(5000, jobs - first)
        await queries.enqueue(["nothing"] * count, [None] * count, [0] * count)

    queue = PgQueuer.from_asyncpg_pool(pool)
    done = 0

    @queue.entrypoint("nothing")
    async def nothing(job: Job) -> None:
        nonlocal done
        done += 1

    begin = time.perf_counter()
    await queue.run(batch_size=max(10, concurrency * 4), max_concurrent_tasks=concurrency * 8,
                    mode=QueueExecutionMode.drain)
    took = time.perf_counter() - begin
    if done != jobs:
        sys.exit(f"{done} of {jobs} jobs ran")
    print(jobs / took)


logging.disable(logging.CRITICAL)
asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
