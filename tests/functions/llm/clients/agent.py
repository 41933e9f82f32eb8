"""OpenAI's agents (PyPI `openai-agents`) as they come, against the gateway: one that calls a tool, and streams."""
import asyncio
import sys

from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool, set_tracing_disabled
from openai import AsyncOpenAI

url, token = sys.argv[1:3]
set_tracing_disabled(True)
called = []


@function_tool
def weather(city: str) -> str:
    """The weather in a city."""
    called.append(city)
    return "rain"


def agent(model: str) -> Agent:
    client = AsyncOpenAI(base_url=f"{url}/v1", api_key=token)
    return Agent(name="a", model=OpenAIChatCompletionsModel(model=model, openai_client=client), tools=[weather])


async def main() -> None:
    for model in ["open/agent", "anth/agent"]:
        called.clear()
        result = await Runner.run(agent(model), "How is the weather in Oslo?")
        assert called == ["Oslo"], called
        assert result.final_output == "Hi", result.final_output
        assert result.context_wrapper.usage.input_tokens == 50, result.context_wrapper.usage
        streamed = Runner.run_streamed(agent(model), "How is the weather in Oslo?")
        async for _ in streamed.stream_events():
            pass
        assert called == ["Oslo", "Oslo"], called
        assert streamed.final_output == "日本 🙂", streamed.final_output


asyncio.run(main())
print("all is well")
