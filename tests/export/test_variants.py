"""All uses of layers that are compared with Keras, in onnxruntime too; all layers as StableHLO."""

import jax
import jax.export
import numpy as np
import pytest

import talweg
from export.cases import CASES, randomize, rows, used
from export.test_layers import in_onnxruntime
from talweg import Input, layers

pytest.importorskip("onnxruntime")
pytest.importorskip("jax2onnx")


@pytest.mark.battery
@pytest.mark.parametrize("part", range(12))
def test_every_use_that_equals_keras_equals_onnxruntime(part, tmp_path):
    from layers.test_battery import CASES as COMPARED
    from layers.test_battery import draw

    uses = [(name, *use) for name, cases in COMPARED.items() for use in cases][part::12]
    data, outputs, inputs = {}, {}, []
    for i, (name, arguments, shape) in enumerate(uses):
        arrays = jax.tree.leaves(draw(name, shape))
        symbols = [
            Input(array.shape[1:], dtype=str(array.dtype), name=f"{name}-{i}-{j}")
            for j, array in enumerate(arrays)
        ]
        # As many rows for all, those of the case and the first once more.
        for x, array in zip(symbols, arrays, strict=True):
            data[x.layer.name] = np.resize(array, (7, *array.shape[1:]))
        layer = getattr(layers, name)(**arguments)
        outputs[f"{name}-{i}"] = layer(symbols if isinstance(shape, list) else symbols[0])
        inputs += symbols
    model = talweg.Model({x.layer.name: x for x in inputs}, outputs)
    model.export(tmp_path / "m.onnx", verbose=False)
    got, expected = in_onnxruntime(tmp_path / "m.onnx", data), model.predict(data, verbose=0)
    for name in outputs:
        np.testing.assert_allclose(got[name], expected[name], rtol=1e-5, atol=1e-5, err_msg=name)


@pytest.mark.battery
@pytest.mark.parametrize("part", range(6))
def test_stablehlo_carries_every_layer(part, tmp_path):
    uses = {name: used(name) for name in sorted(CASES)[part::6]}
    inputs = {x.layer.name: x for tensors, _ in uses.values() for x in tensors}
    model = talweg.Model(inputs, {name: output for name, (_, output) in uses.items()})
    randomize(model)
    data = rows(inputs.values(), 5)
    model.export(tmp_path / "m", format="stablehlo", verbose=False, verify=False)
    loaded = jax.export.deserialize((tmp_path / "m").read_bytes())
    got, expected = loaded.call(data), model.predict(data, verbose=0)
    for name in uses:
        np.testing.assert_allclose(got[name], expected[name], rtol=1e-5, atol=1e-5, err_msg=name)
