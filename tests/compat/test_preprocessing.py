"""Keras 2's preprocessing of texts and series, against the copy that Keras 3 still carries."""

import itertools

import numpy as np
import pytest
from keras.src.legacy.preprocessing import sequence as their_series
from keras.src.legacy.preprocessing import text as their_text

from talweg.compat import series, text

TEXTS = [
    "The cat sat on the mat.",
    "A dog; a cat, a Mat!",
    "",
    "dogs & cats\tsat\non THE mat mat",
]
NEW = ["the unknown cat", "mat"]
OPTIONS = [
    {},
    {"num_words": 4},
    {"num_words": 4, "oov_token": "<oov>"},
    {"lower": False, "filters": ".;", "oov_token": "?"},
    {"char_level": True},
    {"split": ";", "num_words": 3},
]


def both(**options):
    pair = text.Tokenizer(**options), their_text.Tokenizer(**options)
    for tokenizer in pair:
        tokenizer.fit_on_texts(TEXTS)
    return pair


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_tokenizer_numbers_words_as_keras_does(options):
    mine, theirs = both(**options)
    for name in ("word_index", "index_word", "word_counts", "word_docs", "index_docs",
                 "document_count"):  # fmt: skip
        assert getattr(mine, name) == getattr(theirs, name), name
    sequences = mine.texts_to_sequences(TEXTS + NEW)
    assert sequences == theirs.texts_to_sequences(TEXTS + NEW)
    assert mine.sequences_to_texts(sequences) == theirs.sequences_to_texts(sequences)
    for mode in ("binary", "count", "freq", "tfidf"):
        np.testing.assert_allclose(
            mine.texts_to_matrix(TEXTS + NEW, mode), theirs.texts_to_matrix(TEXTS + NEW, mode)
        )


def test_tokenizers_move_both_ways_as_json():
    mine, theirs = both(oov_token="?", num_words=6)
    expected = theirs.texts_to_sequences(NEW)
    assert text.tokenizer_from_json(theirs.to_json()).texts_to_sequences(NEW) == expected
    assert their_text.tokenizer_from_json(mine.to_json()).texts_to_sequences(NEW) == expected
    assert text.tokenizer_from_json(mine.to_json()).get_config() == mine.get_config()


def test_lists_of_words_analyzers_and_sequences_are_understood():
    mine, theirs = text.Tokenizer(analyzer=str.split), their_text.Tokenizer(analyzer=str.split)
    for tokenizer in (mine, theirs):
        tokenizer.fit_on_texts(["a B a", ["C", "a"]])
        tokenizer.fit_on_sequences([[1, 2], [2]])
    assert mine.word_index == theirs.word_index
    np.testing.assert_allclose(
        mine.sequences_to_matrix([[1, 1, 2]], "tfidf"),
        theirs.sequences_to_matrix([[1, 1, 2]], "tfidf"),
    )


def test_wrong_modes_and_missing_texts_are_refused():
    with pytest.raises(ValueError, match="mode"):
        both()[0].texts_to_matrix(TEXTS, "often")
    with pytest.raises(ValueError, match="num_words"):
        text.Tokenizer().texts_to_matrix(TEXTS)
    with pytest.raises(ValueError, match="fit_on_texts"):
        text.Tokenizer(num_words=5).texts_to_matrix(TEXTS, "tfidf")


def test_words_and_hashes_are_those_of_keras():
    for line in TEXTS:
        assert text.text_to_word_sequence(line) == their_text.text_to_word_sequence(line)
        assert text.one_hot(line, 30) == their_text.one_hot(line, 30)
        assert text.hashing_trick(line, 9, "md5") == their_text.hashing_trick(line, 9, "md5")
        assert text.hashing_trick(line, 9, len) == their_text.hashing_trick(line, 9, len)


def test_series_are_cut_into_the_windows_of_keras():
    rows, targets = np.arange(60.0).reshape(30, 2), np.arange(30)
    cases = itertools.product((3, 6), (1, 2), (1, 3), (0, 4), (None, 20), (False, True), (4, 7))
    for length, rate, stride, start, end, reverse, batch_size in cases:
        options = {
            "length": length, "sampling_rate": rate, "stride": stride, "start_index": start,
            "end_index": end, "reverse": reverse, "batch_size": batch_size,
        }  # fmt: skip
        mine = series.TimeseriesGenerator(rows, targets, **options)
        theirs = their_series.TimeseriesGenerator(rows, targets, **options)
        assert len(mine) == len(theirs)
        for i in range(len(mine)):
            for ours, other in zip(mine[i], theirs[i], strict=True):
                np.testing.assert_array_equal(ours, other)


def test_series_that_cannot_be_cut_are_refused():
    with pytest.raises(ValueError, match="length"):
        series.TimeseriesGenerator(np.arange(5), np.arange(5), length=5)
    with pytest.raises(ValueError, match="targets"):
        series.TimeseriesGenerator(np.arange(5), np.arange(4), length=2)
    with pytest.raises(IndexError):
        series.TimeseriesGenerator(np.arange(5), np.arange(5), length=2)[1]
    np.random.seed(0)
    drawn = series.TimeseriesGenerator(
        np.arange(50), np.arange(50), length=2, shuffle=True, batch_size=8
    )
    x, y = drawn[0]
    assert (x[:, -1] == y - 1).all()
    assert len(set(y.tolist())) > 4
