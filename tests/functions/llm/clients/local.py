"""The SDK of OpenAI as it comes, with the embedding model that needs no provider."""
import sys

import openai

url, token = sys.argv[1:3]
client = openai.OpenAI(base_url=f"{url}/v1", api_key=token)

assert "local" in [model.id for model in client.models.list()]
texts = ["Rebooting the machine", "A recipe for apple pie", "How do I restart the server?"]
# The SDK asks for base64, and unpacks it.
packed = client.embeddings.create(model="local", input=texts)
plain = client.embeddings.create(model="local", input=texts, encoding_format="float", dimensions=384)
assert [one.index for one in packed.data] == [0, 1, 2], packed
assert all(len(one.embedding) == 384 for one in packed.data)
assert packed.usage.prompt_tokens == plain.usage.prompt_tokens > 3, packed.usage
for one, other in zip(packed.data, plain.data):
    assert all(abs(a - b) < 1e-6 for a, b in zip(one.embedding, other.embedding))
near = [sum(a * b for a, b in zip(one.embedding, plain.data[2].embedding)) for one in plain.data]
assert near[0] > near[1] + 0.2 and abs(near[2] - 1) < 1e-4, near
try:
    client.embeddings.create(model="local", input="a", dimensions=256)
    raise SystemExit("other dimensions are not refused")
except openai.BadRequestError as error:
    assert "384" in str(error), error
print("all is well")
