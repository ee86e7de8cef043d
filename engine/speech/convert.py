"""Moonshine's weights as they are shipped -> as onnxruntime is quick with them. Run as a process of its own, once.

    python -m engine.speech.convert SOURCE TARGET BITS

The shipped files keep weights as 8-bit numbers and turn them back into floats at *every* step of the decoder (60 ms a
step). Here that is done once, and the multiplications themselves are made 8-bit (6 ms a step): the weights' step is
chosen per output, the other factor's anew for each run. The decoder is one model with two branches that share nothing
but weights: it becomes two, for the first step and for those that follow.

It takes some seconds and a gigabyte of memory, which is why it has a process of its own. Each line on standard output
is the part of the work that is done, from 0 to 1. It ends when its standard input does: with whoever started it.
"""

import os
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from engine.speech.weights import ENCODER, FIRST, NEXT

_Constants = dict[str, NDArray[Any]]
_SHIPPED_ENCODER, _SHIPPED_DECODER = "encoder_model.ort", "decoder_model_merged.ort"
_BRANCHES = {"then_branch": NEXT, "else_branch": FIRST}


def convert(source: Path, target: Path, bits: int) -> Iterator[float]:
    """Write the encoder and both decoders into ``target``, an existing directory; yields the part that is done.

    Args:
        source: holds the shipped ``.ort`` files.
        target: where the result goes.
        bits: of each weight, 2 to 8; see ``weights.bits``.
    """
    model = _plain(source / _SHIPPED_ENCODER)
    constants, nodes = _folded(model)
    _write(target / ENCODER, model, nodes, model.graph.output, constants, bits)
    yield 0.2
    model = _plain(source / _SHIPPED_DECODER)
    constants, (choice,) = _folded(model)
    yield 0.4
    for done, branch in enumerate(choice.attribute, start=1):
        own = {tensor.name: numpy_helper.to_array(tensor) for tensor in branch.g.initializer}
        _write(target / _BRANCHES[branch.name], model, branch.g.node, branch.g.output, constants | own, bits)
        yield 0.4 + 0.3 * done


def _plain(shipped: Path) -> ModelProto:
    """The shipped form is onnxruntime's own: let it write down what it has read."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "model.onnx"
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.add_session_config_entry("session.save_model_format", "ONNX")
        options.optimized_model_filepath = str(path)
        options.intra_op_num_threads = 1
        options.log_severity_level = 3  # it warns that such a model is for this machine alone; nothing in it is
        onnxruntime.InferenceSession(str(shipped), options, ["CPUExecutionProvider"])
        return onnx.load(str(path))


def _folded(model: ModelProto) -> tuple[_Constants, list[NodeProto]]:
    """Every weight as floats, and the nodes that are left when those which only made them are gone."""
    constants: _Constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    left = []
    for node in model.graph.node:
        if node.op_type in {"Cast", "Mul", "Add"} and all(name in constants for name in node.input):
            constants[node.output[0]] = _worked_out(node, [constants[name] for name in node.input])
        else:
            left.append(node)
    return constants, left


def _worked_out(node: NodeProto, inputs: Sequence[NDArray[Any]]) -> NDArray[Any]:
    match node.op_type:
        case "Cast":
            return inputs[0].astype(helper.tensor_dtype_to_np_dtype(node.attribute[0].i))
        case "Mul":
            return np.asarray(inputs[0] * inputs[1])
        case _:
            return np.asarray(inputs[0] + inputs[1])


def _write(
    path: Path,
    model: ModelProto,
    nodes: Iterable[NodeProto],
    outputs: Iterable[ValueInfoProto],
    constants: _Constants,
    bits: int,
) -> None:
    """A model of these nodes, with 8-bit multiplications, what it needs of the constants, and the inputs it takes."""
    quick, made = _in_few_bits(list(nodes), constants, bits)
    needed = {name for node in quick for name in node.input}
    given = {name for node in quick for name in node.output}
    weights = [numpy_helper.from_array(array, name) for name, array in (constants | made).items() if name in needed]
    graph = helper.make_graph(
        quick,
        path.stem,
        [value for value in model.graph.input if value.name in needed],
        [value for value in outputs if value.name in given],  # a branch hands on what it was given: not asked for
        weights,
    )
    opsets = [opset for opset in model.opset_import if not opset.domain]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=model.ir_version), str(path))


def _in_few_bits(nodes: list[NodeProto], constants: _Constants, bits: int) -> tuple[list[NodeProto], _Constants]:
    turned = {
        node.output[0]: constants[node.input[0]].T
        for node in nodes
        if node.op_type == "Transpose" and node.input[0] in constants
    }
    quick: list[NodeProto] = []
    made: _Constants = {}
    seen: set[str] = set()  # factors whose 8-bit form exists already: three products share a layer's input
    for node in nodes:
        weights = _weights(node, constants | turned)
        if weights is None:
            if node.output[0] not in turned:
                quick.append(node)
        elif node.op_type == "MatMul":
            if node.input[0] not in seen:
                seen.add(node.input[0])
                quick.append(_node("DynamicQuantizeLinear", [node.input[0]], *_named(node.input[0], "q", "s", "z")))
            quick += _product(node)
            steps, scale = _steps(weights, bits, axis=0)
            made |= dict(zip(_named(node.input[1], "steps", "scale"), (steps, scale[0]), strict=True))
        else:
            quick += _lookup(node)
            made |= dict(zip(_named(node.input[0], "rows", "sizes"), _steps(weights, bits, axis=1), strict=True))
    return quick, made


def _weights(node: NodeProto, constants: _Constants) -> NDArray[Any] | None:
    """What a node multiplies with, or looks up in, where that is a table of weights."""
    place = {"MatMul": 1, "Gather": 0}.get(node.op_type)
    if place is None or (weights := constants.get(node.input[place])) is None or weights.ndim != 2:
        return None
    return weights


def _steps(weights: NDArray[Any], bits: int, *, axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Weights as whole numbers, and their size along ``axis``."""
    largest = 2 ** (bits - 1) - 1
    scale = np.maximum(np.abs(weights).max(axis=axis, keepdims=True) / largest, 1e-12).astype(np.float32)
    return np.ascontiguousarray(np.rint(weights / scale).astype(np.int8)), scale


def _product(node: NodeProto) -> list[NodeProto]:
    """Written as onnxruntime knows it, so that it makes one step of all five."""
    (factor, weights), (result,) = node.input, node.output
    quantised, size, zero = _named(factor, "q", "s", "z")
    steps, scale = _named(weights, "steps", "scale")
    whole, plain, both = _named(result, "i", "f", "scale")
    return [
        _node("MatMulInteger", [quantised, steps, zero], whole),
        helper.make_node("Cast", [whole], [plain], to=TensorProto.FLOAT),
        _node("Mul", [size, scale], both),
        _node("Mul", [plain, both], result),
    ]


def _lookup(node: NodeProto) -> list[NodeProto]:
    (table, wanted), (result,) = node.input, node.output
    rows, sizes = _named(table, "rows", "sizes")
    row, plain, size = _named(result, "i", "f", "s")
    return [
        _node("Gather", [rows, wanted], row),
        _node("Gather", [sizes, wanted], size),
        helper.make_node("Cast", [row], [plain], to=TensorProto.FLOAT),
        _node("Mul", [plain, size], result),
    ]


def _node(kind: str, inputs: list[str], *outputs: str) -> NodeProto:
    return helper.make_node(kind, inputs, list(outputs))


def _named(name: str, *parts: str) -> tuple[str, ...]:
    return tuple(f"{name}/8bit_{part}" for part in parts)


def _end_with_parent() -> None:
    while os.read(0, 1):  # not sys.stdin, whose lock this thread would hold when the process wants to end
        pass
    os._exit(1)  # in the middle of whatever: what was written is thrown away


def main() -> None:
    """See the file's top."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    for done in convert(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])):
        sys.stdout.write(f"{done:.2f}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
