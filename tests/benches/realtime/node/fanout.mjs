// Socket.IO over its Postgres adapter: the yardstick of the realtime benchmark.
// Usage: node fanout.mjs <database> serve|publish
// Prints the port on which it listens. `serve` puts each client into a room; `publish` tells the room each line of its
// input, a JSON object, after it has written it to a table, as a chat would.
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { createAdapter } from "@socket.io/postgres-adapter";
import pg from "pg";
import { Server } from "socket.io";

const [connectionString, role] = process.argv.slice(2);
const pool = new pg.Pool({ connectionString, max: 10 });
await pool.query(`create table if not exists public.socket_io_attachments
  (id bigserial unique, created_at timestamptz default now(), payload bytea)`).catch(() => {});
await pool.query(`create table if not exists public.node_message
  (id bigserial primary key, body text not null)`).catch(() => {});
const http = createServer();
const io = new Server(http, { transports: ["websocket"], pingInterval: 600_000, perMessageDeflate: false });
io.adapter(createAdapter(pool));
io.on("connection", (socket) => socket.join("room"));
http.listen(0, "127.0.0.1", () => console.log(http.address().port));
if (role === "publish") {
  createInterface({ input: process.stdin }).on("line", async (line) => {
    await pool.query("insert into public.node_message (body) values ($1)", [line]);
    io.to("room").emit("message", JSON.parse(line));
  });
} else {
  process.stdin.resume();
}
