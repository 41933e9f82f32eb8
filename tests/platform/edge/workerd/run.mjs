// Runs the edge in workerd until its standard input ends: node run.mjs PORT ORIGIN KEY BUILD STATE AHEAD
// Its clock is ahead of this machine's by so many milliseconds.
import { readFileSync } from "node:fs";
import { Miniflare } from "miniflare";

const [port, origin, key, build, state, ahead] = process.argv.slice(2);
const main = `import "./clock.js"; export * from "./index.js"; export { default } from "./index.js";`;
const clock = `const Real = Date;
globalThis.Date = class extends Real {
    constructor(...given) {
        if (given.length) super(...given);
        else super(Real.now() + ${Number(ahead)});
    }
    static now() {
        return Real.now() + ${Number(ahead)};
    }
};`;
const runtime = new Miniflare({
    host: "127.0.0.1",
    port: Number(port),
    modules: [
        { type: "ESModule", path: "main.js", contents: main },
        { type: "ESModule", path: "clock.js", contents: clock },
        { type: "ESModule", path: "index.js", contents: readFileSync(`${build}/index.js`, "utf8") },
        { type: "CompiledWasm", path: "index_bg.wasm", contents: readFileSync(`${build}/index_bg.wasm`) },
    ],
    compatibilityDate: "2026-04-01",
    bindings: { ORIGIN: origin, EDGE_KEY: key, PANICS: "on" },
    durableObjects: {
        TOPIC: { className: "Topic", useSQLite: true },
        LIMITER: { className: "Limiter", useSQLite: true },
    },
    durableObjectsPersist: state,
});
await runtime.ready;
console.log("ready");
process.stdin.resume();
process.stdin.on("end", async () => {
    await runtime.dispose();
    process.exit(0);
});
