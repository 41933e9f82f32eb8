// Lists and calls with the official TypeScript client: node client.mjs <url> <token>
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const [url, token] = process.argv.slice(2);
const client = new Client({ name: "gather-tests", version: "1.0.0" });
await client.connect(new StreamableHTTPClientTransport(new URL(url), {
  requestInit: { headers: { Authorization: `Bearer ${token}` } },
}));
const { tools } = await client.listTools();
if (!tools.some((tool) => tool.name === "adder__add")) throw new Error("adder__add is not listed");
const sum = await client.callTool({ name: "adder__add", arguments: { a: 40, b: 2 } });
console.log(`adder__add: ${sum.structuredContent.result}`);
const failed = await client.callTool({ name: "adder__greet", arguments: { name: "" } });
if (failed.isError) console.log("adder__greet is an error");
await client.close();
