"""What the preprocessing layers are asked, for the recording and for the comparison.

A case: class, arguments, what `adapt` gets (or None), inputs. The inputs of HashedCrossing are
columns.
"""

WORDS = ["", "a", "ab", "abc", "abcd", "abcdefg", "abcdefgh", "0123456789abcdef"]
LONG = ["x" * n + "Zürich" for n in (10, 11, 20, 26, 27, 50, 57, 58, 59, 70, 121, 122, 123, 200)]
TEXT = ["the cat sat", "The cat!  sat, on the mat", "", "a-b Ä\tÉ\u00a0x", "mat mat mat"]
ALL = [[word] for word in WORDS + LONG]
INTS = [[0], [1], [-1], [12345678901], [7]]
ROWS = [["b", "z", "", "b"], ["a", "y", "c", "a"]]
DOCUMENTS = [["a", "b", "b"], ["a", "c", "d"], ["a", "", "[UNK]"]]
NUMBERS = [[3, 5, 5, -1], [7, 3, 9, 100]]


def lookups():
    """The cases of StringLookup and IntegerLookup."""
    for mode in ("int", "multi_hot", "count"):
        yield "StringLookup", {"vocabulary": ["a", "b", "c"], "output_mode": mode}, None, ROWS
        masked = {"mask_token": "", "num_oov_indices": 3, "output_mode": mode}
        yield "StringLookup", {"vocabulary": ["a", "b", "c"], **masked}, None, ROWS
        yield "IntegerLookup", {"output_mode": mode, "num_oov_indices": 2}, NUMBERS, NUMBERS
        more = {"mask_token": 5, "max_tokens": 4, "output_mode": mode}
        yield "IntegerLookup", more, NUMBERS, NUMBERS
    yield "StringLookup", {"output_mode": "tf_idf"}, DOCUMENTS, ROWS
    padded = {"output_mode": "tf_idf", "max_tokens": 9, "pad_to_max_tokens": True}
    yield "StringLookup", padded, DOCUMENTS, ROWS
    weights = {"vocabulary": ["a", "b"], "idf_weights": [0.5, 2.0], "output_mode": "tf_idf"}
    yield "StringLookup", weights, None, ROWS
    yield "StringLookup", {"output_mode": "one_hot"}, DOCUMENTS, [["a"], ["q"]]
    yield "StringLookup", {"mask_token": ""}, ["b", "a", "b", ""], ["a", "", "zz"]
    salt = {"vocabulary": ["a"], "num_oov_indices": 50, "salt": [3, 4]}
    yield "StringLookup", salt, None, [WORDS]
    hashed = {"vocabulary": [1], "num_oov_indices": 50, "oov_method": "farmhash"}
    yield "IntegerLookup", hashed, None, NUMBERS
    yield "IntegerLookup", {**hashed, "salt": 9}, None, NUMBERS
    yield "IntegerLookup", {"vocabulary": [12, 36], "invert": True}, None, [[1, 2, 0, 9]]
    yield "IntegerLookup", {"output_mode": "tf_idf"}, NUMBERS, NUMBERS


def texts():
    """The cases of TextVectorization."""
    for standardize in ("lower_and_strip_punctuation", "lower", "strip_punctuation", None):
        for split in ("whitespace", "character", None):
            yield "TextVectorization", {"standardize": standardize, "split": split}, TEXT, TEXT
    for mode in ("multi_hot", "count", "tf_idf"):
        yield "TextVectorization", {"output_mode": mode, "max_tokens": 6}, TEXT, TEXT
    for length in (2, 9):
        yield "TextVectorization", {"output_sequence_length": length, "ngrams": 2}, TEXT, TEXT
    yield "TextVectorization", {"ngrams": (1, 3), "vocabulary": ["cat", "the cat sat"]}, None, TEXT
    padded = {"output_mode": "count", "max_tokens": 30, "pad_to_max_tokens": True}
    yield "TextVectorization", padded, [[line] for line in TEXT], [[line] for line in TEXT]


def hashes():
    """The cases of Hashing and HashedCrossing."""
    for salt in (None, 133, [133, 137]):
        yield "Hashing", {"num_bins": 1000000007, "salt": salt}, None, ALL
        yield "Hashing", {"num_bins": 1000000007, "salt": salt}, None, INTS
    yield "Hashing", {"num_bins": 5, "mask_value": "a"}, None, ALL
    yield "Hashing", {"num_bins": 5, "mask_value": 7}, None, INTS
    for mode in ("one_hot", "multi_hot", "count"):
        yield "Hashing", {"num_bins": 5, "output_mode": mode}, None, ROWS
    columns = [["A", "B", "longer than sixteen bytes"], [101, 102, -3], ["x", "", "x"]]
    for chosen in ([0, 1], [0, 2], [1, 1], [0, 1, 2]):
        inputs = [columns[i] for i in chosen]
        yield "HashedCrossing", {"num_bins": 1000000007}, None, inputs
    yield "HashedCrossing", {"num_bins": 5, "output_mode": "one_hot"}, None, columns[:2]


def bins():
    """The cases of Discretization that learn their boundaries."""
    values = [[((7 * i) % 31) / 3.0, i * 0.5] for i in range(40)]
    for mode in ("int", "one_hot", "multi_hot", "count"):
        yield "Discretization", {"num_bins": 4, "output_mode": mode}, values, values[:6]
    yield "Discretization", {"num_bins": 7, "epsilon": 0.1}, values, values


CASES = [*lookups(), *texts(), *hashes(), *bins()]
