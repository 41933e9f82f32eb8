// The SDKs of OpenAI and Anthropic for JavaScript and Vercel's `ai`, as they come, against the gateway.
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, jsonSchema, streamText, tool } from "ai";
import OpenAI from "openai";

const [url, token] = process.argv.slice(2);
const messages = [{ role: "user", content: "Hello" }];
const functions = [{ type: "function", function: { name: "f", parameters: { type: "object", properties: {} } } }];

const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: token });
for (const model of ["open/m", "anth/m"]) {
  const answer = await client.chat.completions.create({ model, max_tokens: 100, messages });
  assert.equal(answer.choices[0].message.content, "Hi");
  assert.equal(answer.choices[0].finish_reason, "stop");
  assert.deepEqual([answer.usage.prompt_tokens, answer.usage.completion_tokens], [25, 15]);
  const stream = client.chat.completions.stream({ model, max_tokens: 100, messages, stream_options: { include_usage: true } });
  assert.equal(await stream.finalContent(), "日本 🙂");
  assert.equal((await stream.totalUsage()).prompt_tokens, 25);
  // Without the usage no chunk is without a choice.
  for await (const chunk of await client.chat.completions.create({ model, max_tokens: 100, messages, stream: true })) {
    assert.ok(chunk.choices[0]);
  }
  const tools = client.chat.completions.stream({ model: `${model.split("/")[0]}/tools`, max_tokens: 100, messages, tools: functions });
  const called = (await tools.finalMessage()).tool_calls.map((call) => [call.function.name, call.function.arguments]);
  assert.deepEqual(called, [["f", '{"x":1}'], ["g", '{"y":2}'], ["h", "{}"]]);
}
await assert.rejects(
  client.chat.completions.create({ model: "open/nowhere", messages }),
  (error) => error instanceof OpenAI.NotFoundError && error.code === "model-unknown",
);
const vectors = await client.embeddings.create({ model: "open/e", input: ["a", "b"] });
assert.deepEqual([...vectors.data[1].embedding], [0.5, -1]);
const listed = [];
for await (const model of client.models.list()) listed.push(model.id);
assert.ok(listed.includes("open/m"));

const claude = new Anthropic({ baseURL: url, apiKey: token });
for (const model of ["anth/m", "open/m"]) {
  const message = await claude.messages.create({ model, max_tokens: 100, messages });
  assert.deepEqual([message.content.at(-1).text, message.stop_reason], ["Hi", "end_turn"]);
  const final = await claude.messages.stream({ model, max_tokens: 100, messages }).finalMessage();
  assert.equal(final.content.map((block) => block.text ?? "").join(""), "日本 🙂");
  assert.deepEqual([final.usage.output_tokens, final.stop_reason], [15, "end_turn"]);
  const tools = await claude.messages.stream({ model: `${model.split("/")[0]}/tools`, max_tokens: 100, messages }).finalMessage();
  const inputs = tools.content.filter((block) => block.type === "tool_use").map((block) => block.input);
  assert.deepEqual(inputs, [{ x: 1 }, { y: 2 }, {}]);
  assert.equal(tools.stop_reason, "tool_use");
}
await assert.rejects(
  claude.messages.create({ model: "anth/nowhere", max_tokens: 1, messages }),
  (error) => error instanceof Anthropic.NotFoundError && error.error.error.code === "model-unknown",
);

const gather = createOpenAICompatible({ name: "gather", baseURL: `${url}/v1`, apiKey: token, includeUsage: true });
for (const model of ["open/m", "anth/m"]) {
  const answer = await generateText({ model: gather(model), prompt: "Hello", maxOutputTokens: 100 });
  assert.deepEqual([answer.text, answer.finishReason, answer.usage.inputTokens], ["Hi", "stop", 25]);
  const streamed = streamText({ model: gather(model), prompt: "Hello", maxOutputTokens: 100 });
  let text = "";
  for await (const part of streamed.textStream) text += part;
  assert.equal(text, "日本 🙂");
  assert.deepEqual([await streamed.finishReason, (await streamed.usage).outputTokens], ["stop", 15]);
  const anything = tool({ inputSchema: jsonSchema({ type: "object" }) });
  const called = streamText({
    model: gather(`${model.split("/")[0]}/tools`), prompt: "Hello", maxOutputTokens: 100, tools: { f: anything, g: anything, h: anything },
  });
  const calls = (await called.toolCalls).map((call) => [call.toolName, call.input]);
  assert.deepEqual(calls, [["f", { x: 1 }], ["g", { y: 2 }], ["h", {}]]);
}
await assert.rejects(
  generateText({ model: gather("open/nowhere"), prompt: "Hello", maxRetries: 0 }),
  (error) => error.statusCode === 404 && JSON.parse(error.responseBody).error.code === "model-unknown",
);
console.log("all is well");
