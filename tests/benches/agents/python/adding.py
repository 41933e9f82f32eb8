"""Turns of an agent in LangGraph that calls a tool many times, with its PostgreSQL saver: prints steps a second, where a
step is an answer of the model or a call, and the bytes of the database that a turn takes. Model and tool are functions here.

Arguments: the database's URL, turns, how many at once, calls of each turn.
"""

import json
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.graph import END, START, MessagesState, StateGraph
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

database, turns, at_once, calls = sys.argv[1], *map(int, sys.argv[2:5])


def model(state: MessagesState):
    done = sum(isinstance(message, ToolMessage) for message in state["messages"])
    if done == calls:
        return {"messages": [AIMessage("Done.")]}
    call = {"name": "add", "args": {"a": done, "b": 1}, "id": f"x{done}"}
    return {"messages": [AIMessage("", tool_calls=[call])]}


def tools(state: MessagesState):
    call = state["messages"][-1].tool_calls[0]
    total = call["args"]["a"] + call["args"]["b"]
    return {"messages": [ToolMessage(str(total), tool_call_id=call["id"])]}


def following(state: MessagesState):
    return "tools" if state["messages"][-1].tool_calls else END


options = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
with ConnectionPool(database, min_size=at_once, max_size=at_once, kwargs=options) as pool:
    saver = PostgresSaver(pool)
    saver.setup()
    graph = StateGraph(MessagesState)
    graph.add_node("model", model)
    graph.add_node("tools", tools)
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", following)
    graph.add_edge("tools", "model")
    agent = graph.compile(checkpointer=saver)

    def turn(_):
        config = {"configurable": {"thread_id": str(uuid.uuid4())}, "recursion_limit": 4 * calls}
        agent.invoke({"messages": [HumanMessage("Go on.")]}, config, durability="sync")

    def size():
        with pool.connection() as connection:
            row = connection.execute("select pg_database_size(current_database()) as size").fetchone()
            return row["size"]

    with ThreadPoolExecutor(at_once) as threads:
        list(threads.map(turn, range(at_once)))
        before, began = size(), time.monotonic()
        list(threads.map(turn, range(turns)))
        rate = turns * (2 * calls + 1) / (time.monotonic() - began)
        print(json.dumps({"steps_a_second": rate, "bytes_a_turn": (size() - before) / turns}))
