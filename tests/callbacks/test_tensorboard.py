"""TensorBoard's files hold what Keras's callback writes, under the same names."""

import json
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest

import talweg
from talweg.callbacks import TensorBoard
from talweg.callbacks.event_file import EventFile

pytest.importorskip("tensorboardX")
RECORDED = json.loads((Path(__file__).parents[1] / "goldens" / "tensorboard.json").read_text())[
    "cases"
]
X, Y = np.linspace(-1, 1, 24).reshape(8, 3), np.ones((8, 1))


def records_of(path):
    """The events in a file, without a library of TensorBoard's."""
    from tensorboardX.proto.event_pb2 import Event

    content, start = path.read_bytes(), 0
    while start < len(content):
        (length,) = struct.unpack("<Q", content[start : start + 8])
        yield Event.FromString(content[start + 12 : start + 12 + length])
        start += length + 16


KINDS = {"simple_value": "scalars", "histo": "histograms", "image": "images"}


def values_of(folder):
    """folder -> [(kind, tag, step, value)], in the order of writing."""
    found = {}
    for path in sorted(Path(folder).rglob("events.out.tfevents.*")):
        events = list(records_of(path))
        assert events[0].file_version == "brain.Event:2"
        for event in events[1:]:
            for value in event.summary.value:
                which = value.WhichOneof("value")
                kind = KINDS.get(which) or value.metadata.plugin_data.plugin_name
                entry = (kind, value.tag, event.step, getattr(value, which))
                found.setdefault(path.parent.name, []).append(entry)
    return found


def model_of_two():
    layers = talweg.layers
    model = talweg.Sequential(
        [talweg.Input((3,)), layers.Dense(4, name="a"), layers.Dense(1, name="b")]
    )
    model.compile("sgd", "mse", metrics=["mae"])
    return model


def fitted(folder, epochs=3, validation=True, model=None, **options):
    model, board = model or model_of_two(), TensorBoard(folder, **options)
    data = {"validation_data": (X, Y)} if validation else {}
    history = model.fit(
        X, Y, batch_size=2, epochs=epochs, callbacks=[board], verbose=0, shuffle=False, **data
    )
    return history.history, values_of(folder)


@pytest.mark.parametrize("name", RECORDED)
def test_names_kinds_and_steps_are_those_of_keras(name, tmp_path):
    case = RECORDED[name]
    _, values = fitted(tmp_path, **case["options"])
    assert set(values) == set(case["events"])
    for run, theirs in case["events"].items():
        # Between batches talweg tells the rate, too.
        ours = [entry[:3] for entry in values[run] if entry[1] != "batch_learning_rate"]
        assert sorted(ours) == sorted(map(tuple, theirs))


def test_values_are_those_of_the_history(tmp_path):
    history, values = fitted(tmp_path, update_freq=1)
    written = {(run, tag, step): v for run in values for _, tag, step, v in values[run]}
    for epoch in range(3):
        for name in ("loss", "mae"):
            train, validation = history[name][epoch], history[f"val_{name}"][epoch]
            steps = 4 * (epoch + 1)
            assert written["train", f"epoch_{name}", epoch] == pytest.approx(train)
            assert written["validation", f"epoch_{name}", epoch] == pytest.approx(validation)
            tag = f"evaluation_{name}_vs_iterations"
            assert written["validation", tag, steps] == pytest.approx(validation)
            assert written["train", f"batch_{name}", steps] == pytest.approx(train)
        assert written["train", "epoch_learning_rate", epoch] == pytest.approx(0.01)


def test_histograms_count_every_weight_and_images_show_it(tmp_path):
    model = model_of_two()
    _, values = fitted(tmp_path, model=model, epochs=1, histogram_freq=1, write_images=True)
    found = {tag: value for _, tag, _, value in values["train"]}
    for weight in model.weights:
        histogram = found[f"{weight.path}/histogram"]
        assert histogram.num == weight.size
        assert histogram.sum == pytest.approx(float(np.sum(weight.numpy())), abs=1e-5)
    image = found[f"{model.layers[0].kernel.path}/image"]
    assert (image.height, image.width) == (3, 4)
    assert image.encoded_image_string.startswith(b"\x89PNG")


def test_the_graph_is_the_model_as_json(tmp_path):
    _, values = fitted(tmp_path, epochs=1)
    graph = next(value for kind, _, _, value in values["train"] if kind == "graph_keras_model")
    record = json.loads(graph.string_val[0])
    assert [layer["config"]["name"] for layer in record["config"]["layers"]][1:] == ["a", "b"]


def test_without_batches_the_training_runs_in_blocks():
    assert not TensorBoard().has_batch_hooks
    assert TensorBoard(update_freq=100).has_batch_hooks
    assert TensorBoard(update_freq=100).reads == "logs"
    assert TensorBoard(profile_batch=2).reads == "weights"


def test_weights_that_are_not_finite_are_left_out_of_histograms(tmp_path):
    file = EventFile(tmp_path)
    file.histogram("some", np.array([1.0, np.nan, 3.0]), 0)
    file.histogram("none", np.array([np.inf]), 0)
    file.close()
    assert [(tag, value.num) for _, tag, _, value in values_of(tmp_path)[tmp_path.name]] == [
        ("some", 2.0)
    ]


def test_a_full_disk_ends_the_log_and_not_the_training(tmp_path, monkeypatch):
    from tensorboardX.record_writer import RecordWriter

    write, left = RecordWriter.write, iter(range(4))

    def full(self, data):
        if next(left, None) is None:
            raise OSError(28, "No space left on device")
        write(self, data)

    monkeypatch.setattr(RecordWriter, "write", full)
    model, board = model_of_two(), TensorBoard(tmp_path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = model.fit(X, Y, epochs=3, callbacks=[board], verbose=0)
    assert len(history.history["loss"]) == 3
    assert [w for w in caught if "No space left" in str(w.message)]
    assert len(values_of(tmp_path)["train"]) == 3


def test_a_folder_that_cannot_be_made_is_an_error_when_fit_begins(tmp_path):
    (tmp_path / "file").write_text("")
    board = TensorBoard(tmp_path / "file" / "logs")
    with pytest.raises(OSError, match="file"):
        model_of_two().fit(X, Y, callbacks=[board], verbose=0)


def test_two_fits_write_two_files(tmp_path):
    model, board = model_of_two(), TensorBoard(tmp_path)
    for _ in range(2):
        model.fit(X, Y, callbacks=[board], verbose=0)
    assert len(list((tmp_path / "train").iterdir())) == 2


def test_embeddings_are_written_for_the_projector(tmp_path):
    layers = talweg.layers
    model = talweg.Sequential([layers.Embedding(5, 2, name="words"), layers.Flatten()])
    model.compile("sgd", "mse")
    board = TensorBoard(tmp_path, embeddings_freq=1, embeddings_metadata={"words": "words.tsv"})
    model.fit(np.array([[1], [2]]), np.ones((2, 2)), callbacks=[board], verbose=0)
    config = (tmp_path / "projector_config.pbtxt").read_text()
    assert 'tensor_path: "embedding-words.tsv"' in config
    assert 'metadata_path: "words.tsv"' in config
    table = np.loadtxt(tmp_path / "embedding-words.tsv")
    np.testing.assert_allclose(table, model.layers[0].embeddings.numpy(), rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"histogram_freq": -1}, "histogram_freq must be"),
        ({"update_freq": 0}, "update_freq must be"),
        ({"update_freq": "step"}, "update_freq must be"),
        ({"profile_batch": (3, 2)}, "profile_batch must be"),
        ({"profile_batch": "a"}, "profile_batch must be"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TensorBoard(**options)


def test_unknown_layers_of_embeddings_are_named(tmp_path):
    board = TensorBoard(tmp_path, embeddings_freq=1, embeddings_metadata={"wrods": "w.tsv"})
    with pytest.raises(ValueError, match="layer in embeddings_metadata"):
        board.set_model(model_of_two())


def test_the_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r"talweg\[tensorboard\]"):
        TensorBoard()


@pytest.mark.battery
def test_a_batch_is_traced_for_the_profiler(tmp_path):
    fitted(tmp_path, epochs=1, profile_batch=(2, 3))
    assert list((tmp_path / "train" / "plugins" / "profile").rglob("*.xplane.pb"))
