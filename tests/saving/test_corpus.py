"""The fuzzer's corpus, file by file, under the limits; and a few mutations of each."""

import random
import warnings

import pytest

from saving import mutations, opening

pytest.importorskip("safetensors", reason="safetensors is not installed")
FILES = sorted(opening.CORPUS.iterdir())


@pytest.fixture(scope="module", autouse=True)
def _warm():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        opening.warmed()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_good_files_open_and_bad_ones_are_refused(file):
    assert opening.opened(file.read_bytes()) == file.name.startswith("good")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_what_mutations_make_is_a_model_or_an_error(file):
    draw = random.Random(file.name)
    for _ in range(3):
        content = mutations.changed(draw, file.read_bytes())
        assert opening.opened(content) in (True, False)
