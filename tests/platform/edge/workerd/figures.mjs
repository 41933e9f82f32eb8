// Measures the edge in workerd before an origin of its own, and prints the figures: node figures.mjs BUILD
// 1,000 GET a second on ten public URLs: how many reach the origin, and how old the oldest answer is. Then what passing
// costs, by requests with a cookie, one after the other, through the edge and past it.
import { readFileSync } from "node:fs";
import http from "node:http";
import { Miniflare } from "miniflare";

const [build] = process.argv.slice(2);
const SECONDS = 10;
const URLS = 10;
const EACH_MS = 10;
const PASSED = 2000;

let asked = 0;
const origin = http.createServer((request, response) => {
    asked += 1;
    const body = String(Date.now());
    const isPublic = !request.headers.cookie;
    response.writeHead(200, {
        "content-type": "text/plain",
        "cache-control": isPublic ? "public, s-maxage=1" : "private, no-store",
        etag: `"${body}"`,
    });
    response.end(body);
});
await new Promise((done) => origin.listen(0, "127.0.0.1", done));
const past = `http://127.0.0.1:${origin.address().port}`;
const runtime = new Miniflare({
    host: "127.0.0.1",
    port: 0,
    modules: [
        { type: "ESModule", path: "index.js", contents: readFileSync(`${build}/index.js`, "utf8") },
        { type: "CompiledWasm", path: "index_bg.wasm", contents: readFileSync(`${build}/index_bg.wasm`) },
    ],
    compatibilityDate: "2026-04-01",
    bindings: { ORIGIN: past, EDGE_KEY: "a key that nobody asks for here" },
    durableObjects: {
        TOPIC: { className: "Topic", useSQLite: true },
        LIMITER: { className: "Limiter", useSQLite: true },
    },
});
const through = (await runtime.ready).origin;
const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });

function get(base, path, headers = {}) {
    const begin = performance.now();
    return new Promise((done, failed) => {
        const request = http.get(`${base}${path}`, { agent, headers }, (response) => {
            let body = "";
            response.setEncoding("utf8");
            response.on("data", (part) => (body += part));
            response.on("end", () =>
                done({
                    status: response.statusCode,
                    ms: performance.now() - begin,
                    age: Date.now() - Number(body),
                    kept: response.headers["cache-status"] ?? "",
                }),
            );
        });
        request.on("error", failed);
    });
}

function part(values, share) {
    const sorted = values.toSorted((one, other) => one - other);
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

// What is compiled on first use.
for (let number = 0; number < 200; number++) await get(through, `/first/${number % 5}`);

asked = 0;
const waiting = [];
const begin = performance.now();
for (let tick = 0; tick * EACH_MS < SECONDS * 1000; tick++) {
    const pause = begin + tick * EACH_MS - performance.now();
    if (pause > 0) await new Promise((done) => setTimeout(done, pause));
    for (let number = 0; number < URLS; number++) waiting.push(get(through, `/api/public/${number}`));
}
const sent = (performance.now() - begin) / 1000;
const answers = await Promise.all(waiting);
const failed = answers.filter((answer) => answer.status !== 200).length;
console.log(`${(answers.length / sent).toFixed(0)} GET/s on ${URLS} URLs for ${sent.toFixed(1)} s, ${failed} failed`);
const more = asked - URLS;
console.log(`${asked} requests reached the origin: the first of each URL, and ${(more / sent).toFixed(1)} a second`);
console.log(`oldest answer: ${Math.max(...answers.map((answer) => answer.age))} ms`);
const times = answers.map((answer) => answer.ms);
console.log(`answered in ${part(times, 0.5).toFixed(2)} ms (p50), ${part(times, 0.99).toFixed(2)} ms (p99)`);

const passing = { through: [], past: [] };
for (let number = 0; number < PASSED; number++) {
    passing.past.push((await get(past, "/api/own", { cookie: "a=b" })).ms);
    passing.through.push((await get(through, "/api/own", { cookie: "a=b" })).ms);
}
const added = part(passing.through, 0.5) - part(passing.past, 0.5);
console.log(
    `passing: ${part(passing.through, 0.5).toFixed(2)} ms through the edge, ` +
        `${part(passing.past, 0.5).toFixed(2)} ms past it (p50): ${added.toFixed(2)} ms more`,
);
await runtime.dispose();
process.exit(0);
