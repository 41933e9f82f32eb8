// Runs a function in workerd until its standard input ends: node function.mjs PORT BUILD BINDINGS
import { readFileSync } from "node:fs";
import { Miniflare } from "miniflare";

const [port, build, bindings] = process.argv.slice(2);
const runtime = new Miniflare({
    host: "127.0.0.1",
    port: Number(port),
    modules: [
        { type: "ESModule", path: "index.js", contents: readFileSync(`${build}/index.js`, "utf8") },
        { type: "CompiledWasm", path: "index_bg.wasm", contents: readFileSync(`${build}/index_bg.wasm`) },
    ],
    compatibilityDate: "2026-04-01",
    bindings: JSON.parse(bindings),
});
await runtime.ready;
console.log("ready");
process.stdin.resume();
process.stdin.on("end", async () => {
    await runtime.dispose();
    process.exit(0);
});
