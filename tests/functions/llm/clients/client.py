"""The SDKs of OpenAI and Anthropic as they come, against the gateway."""
import sys

import anthropic
import openai

url, token = sys.argv[1:3]

client = openai.OpenAI(base_url=f"{url}/v1", api_key=token)
for model in ["open/m", "anth/m"]:
    answer = client.chat.completions.create(model=model, max_tokens=100, messages=[{"role": "user", "content": "Hello"}])
    assert answer.choices[0].message.content == "Hi", answer
    assert answer.choices[0].finish_reason == "stop", answer
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (25, 15), answer
    text, usage = "", None
    stream = client.chat.completions.create(
        model=model, max_tokens=100, messages=[{"role": "user", "content": "Hello"}], stream=True,
        stream_options={"include_usage": True},
    )
    for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
    assert text == "日本 🙂", text
    assert usage.prompt_tokens == 25, usage
    # Without the usage no chunk is without a choice.
    stream = client.chat.completions.create(
        model=model, max_tokens=100, messages=[{"role": "user", "content": "Hello"}], stream=True
    )
    assert all(chunk.choices[0] for chunk in stream)
    tools = client.chat.completions.create(
        model=f"{model.split('/')[0]}/tools", max_tokens=100, messages=[{"role": "user", "content": "Hello"}], stream=True,
        tools=[{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}],
    )
    calls = {}
    for chunk in tools:
        for call in chunk.choices[0].delta.tool_calls or []:
            calls.setdefault(call.index, ["", ""])
            calls[call.index][0] += call.function.name or ""
            calls[call.index][1] += call.function.arguments or ""
    assert list(calls.values()) == [["f", '{"x":1}'], ["g", '{"y":2}'], ["h", "{}"]], calls

try:
    client.chat.completions.create(model="open/nowhere", messages=[{"role": "user", "content": "Hello"}])
    raise AssertionError("an error was expected")
except openai.NotFoundError as error:
    assert error.code == "model-unknown", error
assert "open/m" in [model.id for model in client.models.list()]
vectors = client.embeddings.create(model="open/e", input=["a", "b"])
assert [round(value, 3) for value in vectors.data[1].embedding] == [0.5, -1.0], vectors

claude = anthropic.Anthropic(base_url=url, api_key=token)
for model in ["anth/m", "open/m"]:
    message = claude.messages.create(model=model, max_tokens=100, messages=[{"role": "user", "content": "Hello"}])
    assert message.content[-1].text == "Hi" and message.stop_reason == "end_turn", message
    with claude.messages.stream(model=model, max_tokens=100, messages=[{"role": "user", "content": "Hello"}]) as stream:
        assert "".join(stream.text_stream) == "日本 🙂"
        final = stream.get_final_message()
    assert final.usage.output_tokens == 15 and final.stop_reason == "end_turn", final
    with claude.messages.stream(
        model=f"{model.split('/')[0]}/tools", max_tokens=100, messages=[{"role": "user", "content": "Hello"}]
    ) as stream:
        final = stream.get_final_message()
    inputs = [block.input for block in final.content if block.type == "tool_use"]
    assert inputs == [{"x": 1}, {"y": 2}, {}] and final.stop_reason == "tool_use", final
try:
    claude.messages.create(model="anth/nowhere", max_tokens=1, messages=[{"role": "user", "content": "Hello"}])
    raise AssertionError("an error was expected")
except anthropic.NotFoundError as error:
    assert error.body["error"]["code"] == "model-unknown", error.body
try:
    openai.OpenAI(base_url=f"{url}/v1", api_key="gk_none", max_retries=0).models.list()
    raise AssertionError("an error was expected")
except openai.AuthenticationError:
    pass
print("all is well")
