// Node's Graphile Worker with a no-op task: the yardstick of the jobs benchmark.
// Usage: node worker.mjs <database> <jobs to do> <concurrency> [local queue size]
// Prints a JSON object with the times of the first and the last job, in ms since 1970.
import { run } from "graphile-worker";

const [connectionString, jobs, concurrentJobs, localQueue] = process.argv.slice(2);
let done = 0, first = 0, last = 0;
const runner = await run({
  connectionString,
  noHandleSignals: true,
  preset: {
    worker: {
      schema: "node_worker",
      concurrentJobs: Number(concurrentJobs),
      maxPoolSize: Number(concurrentJobs) + 2,
      ...(localQueue ? { localQueue: { size: Number(localQueue) } } : {}),
    },
  },
  taskList: {
    noop: async () => {
      const now = performance.timeOrigin + performance.now();
      if (done++ === 0) first = now;
      last = now;
    },
    timed: async (payload) => {
      const now = performance.timeOrigin + performance.now();
      console.log(JSON.stringify({ sample: payload.n, started: now }));
    },
  },
  logger: new (await import("graphile-worker")).Logger(() => () => {}),
});
console.log(JSON.stringify({ ready: true }));
process.stdin.resume();
process.stdin.on("end", async () => {
  await runner.stop();
  console.log(JSON.stringify({ done, first, last }));
  process.exit(0);
});
