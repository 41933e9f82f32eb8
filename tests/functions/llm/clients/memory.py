"""mem0 (PyPI `mem0ai`) as it comes, with a model and the embedding model of the gateway, over a store in a folder."""
import os
import sys
import tempfile

url, token = sys.argv[1:3]
folder = tempfile.TemporaryDirectory()
os.environ.update(MEM0_TELEMETRY="False", MEM0_DIR=folder.name)

from mem0 import Memory  # noqa: E402  (it reads its settings when it is imported)

gateway = {"openai_base_url": f"{url}/v1", "api_key": token}
memory = Memory.from_config({
    "llm": {"provider": "openai", "config": {"model": "open/facts", **gateway}},
    "embedder": {"provider": "openai", "config": {"model": "local", "embedding_dims": 384, **gateway}},
    "vector_store": {
        "provider": "qdrant",
        "config": {"path": f"{folder.name}/store", "collection_name": "m", "embedding_model_dims": 384},
    },
    "history_db_path": f"{folder.name}/history.db",
})

# The stand-in for the model finds these facts in any talk.
talk = [{"role": "user", "content": "Hi, I am Ada. I drink green tea, and my server restarts every night."}]
added = memory.add(talk, user_id="ada")["results"]
assert [one["memory"] for one in added] == ["Ada drinks green tea", "Ada's server restarts every night"], added
assert all(one["event"] == "ADD" for one in added), added
memory.add("Ben plays chess on Sundays", user_id="ben", infer=False)

# By meaning: no word of the question is in the fact.
found = memory.search("Which beverage does she like?", filters={"user_id": "ada"}, top_k=2, threshold=0.0)["results"]
assert [one["memory"] for one in found][:1] == ["Ada drinks green tea"], found
found = memory.search("When does the machine reboot?", filters={"user_id": "ada"}, top_k=2, threshold=0.0)["results"]
assert [one["memory"] for one in found][:1] == ["Ada's server restarts every night"], found
assert all("Ben" not in one["memory"] for one in found), found

memory.update(added[0]["id"], "Ada drinks coffee")
assert memory.get(added[0]["id"])["memory"] == "Ada drinks coffee"
memory.delete(added[1]["id"])
left = [one["memory"] for one in memory.get_all(filters={"user_id": "ada"})["results"]]
assert left == ["Ada drinks coffee"], left
memory.close()
folder.cleanup()
print("all is well")
