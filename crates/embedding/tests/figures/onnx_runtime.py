"""The same model in ONNX Runtime, on one thread: a graph is made of the weights, unpacked into floats."""
import json
import struct
import sys
import time

import numpy
import onnxruntime
from onnx import TensorProto, helper, numpy_helper


def read(path):
    data = open(path, "rb").read()
    (length,) = struct.unpack("<Q", data[:8])
    head = json.loads(data[8 : 8 + length])
    kinds = {"I8": numpy.int8, "F32": numpy.float32}
    raw = {}
    for name, entry in head.items():
        if name != "__metadata__":
            first, last = entry["data_offsets"]
            part = data[8 + length + first : 8 + length + last]
            raw[name] = numpy.frombuffer(part, kinds[entry["dtype"]]).reshape(entry["shape"])
    return {
        name: value.astype(numpy.float32) * raw[f"{name}.scale"][:, None] if value.dtype == numpy.int8 else value
        for name, value in raw.items()
        if not name.endswith(".scale")
    }


weights = read(sys.argv[1])
nodes, constants, count = [], [], 0


def constant(value, kind=None):
    global count
    count += 1
    constants.append(numpy_helper.from_array(numpy.asarray(value, kind), f"c{count}"))
    return f"c{count}"


def node(kind, *inputs, **attributes):
    global count
    count += 1
    nodes.append(helper.make_node(kind, list(inputs), [f"n{count}"], **attributes))
    return f"n{count}"


def dense(x, name):
    product = node("MatMul", x, constant(weights[f"{name}.weight"].T.copy()))
    return node("Add", product, constant(weights[f"{name}.bias"]))


def norm(x, name):
    return node(
        "LayerNormalization", x, constant(weights[f"{name}.weight"]), constant(weights[f"{name}.bias"]), axis=-1, epsilon=1e-12
    )


def heads(x, order):
    split = node("Reshape", x, constant([0, 0, 12, 32], numpy.int64))
    return node("Transpose", split, perm=order)


words = node("Gather", constant(weights["embeddings.word_embeddings.weight"]), "tokens")
places = weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
length = node("Slice", node("Shape", "tokens"), constant([1], numpy.int64), constant([2], numpy.int64))
places = node("Slice", constant(places), constant([0], numpy.int64), length, constant([0], numpy.int64))
x = norm(node("Add", words, places), "embeddings.LayerNorm")
for layer in range(6):
    name = f"encoder.layer.{layer}"
    query = heads(dense(x, f"{name}.attention.self.query"), [0, 2, 1, 3])
    key = heads(dense(x, f"{name}.attention.self.key"), [0, 2, 3, 1])
    value = heads(dense(x, f"{name}.attention.self.value"), [0, 2, 1, 3])
    scores = node("Mul", node("MatMul", query, key), constant(32**-0.5, numpy.float32))
    attended = node("Transpose", node("MatMul", node("Softmax", scores, axis=-1), value), perm=[0, 2, 1, 3])
    attended = node("Reshape", attended, constant([0, 0, 384], numpy.int64))
    x = norm(node("Add", x, dense(attended, f"{name}.attention.output.dense")), f"{name}.attention.output.LayerNorm")
    inner = node("Gelu", dense(x, f"{name}.intermediate.dense"))
    x = norm(node("Add", x, dense(inner, f"{name}.output.dense")), f"{name}.output.LayerNorm")
mean = node("ReduceMean", x, constant([1], numpy.int64), keepdims=0)
graph = helper.make_graph(
    nodes,
    "minilm",
    [helper.make_tensor_value_info("tokens", TensorProto.INT64, ["batch", "length"])],
    [helper.make_tensor_value_info(mean, TensorProto.FLOAT, ["batch", 384])],
    constants,
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def embed(tokens):
    (vectors,) = session.run(None, {"tokens": numpy.array([tokens])})
    return vectors[0] / numpy.linalg.norm(vectors[0])


query, passages, expected = json.load(sys.stdin)
print(f"ONNX Runtime {onnxruntime.__version__}: cosine to ours {float(embed(query) @ numpy.array(expected)):.6f}")
times = []
for _ in range(200):
    started = time.perf_counter()
    embed(query)
    times.append(time.perf_counter() - started)
print(f"  a query of 10 words: p50 {sorted(times)[100] * 1e3:.2f} ms")
started, computed = time.perf_counter(), time.process_time()
for tokens in passages:
    embed(tokens)
print(f"  the passages: {time.perf_counter() - started:.1f} s, {time.process_time() - computed:.1f} s of CPU")
