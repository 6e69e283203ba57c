"""The feature spaces that are recorded from Keras and built again by talweg."""

DATA = {
    "area": [0.0, 1.0, 2.0, 3.0],
    "price": [1.0, 3.0, 5.0, 7.0],
    "red": [0.0, 128.0, 255.0, 10.0],
    "share": [0.1, 0.4, 0.8, 0.95],
    "rooms": [3, 1, 3, 7],
    "colour": ["red", "blue", "red", "green"],
    "district": [5, 6, 7, 8],
    "street": ["x", "y", "z", "x"],
}
UNSEEN = {
    "area": [-1.0, 9.0],
    "price": [4.0, 0.0],
    "red": [51.0, 1.0],
    "share": [0.0, 2.0],
    "rooms": [2, 1],
    "colour": ["black", "green"],
    "district": [5, -3],
    "street": ["", "Zürich"],
}


def all_kinds(space, mode):
    """One column of each kind, and two crosses."""
    return space(
        {
            "area": "float",
            "price": "float_normalized",
            "red": space.float_rescaled(1 / 255.0),
            "share": space.float_discretized(3),
            "rooms": "integer_categorical",
            "colour": space.string_categorical(max_tokens=3, num_oov_indices=1),
            "district": "integer_hashed",
            "street": space.string_hashed(4),
        },
        crosses=[("rooms", "colour"), space.cross(("street", "colour"), 5)],
        crossing_dim=7,
        hashing_dim=6,
        output_mode=mode,
    )


def integers(space, mode):
    """Categories that stay integers."""
    return space(
        {
            "share": space.float_discretized(2, output_mode="int"),
            "rooms": space.integer_categorical(output_mode="int"),
            "colour": space.string_categorical(output_mode="int"),
            "street": space.string_hashed(8, output_mode="int"),
        },
        crosses=[space.cross(("colour", "street"), 9, output_mode="int")],
        output_mode=mode,
    )


def numbers(space, mode):
    """No text: what Keras on JAX can be given inside a model."""
    return space(
        {
            "area": "float",
            "price": "float_normalized",
            "red": space.float_rescaled(1 / 255.0),
            "share": space.float_discretized(3),
            "rooms": "integer_categorical",
            "district": "integer_hashed",
        },
        crosses=[("rooms", "district")],
        crossing_dim=7,
        hashing_dim=6,
        output_mode=mode,
    )


CASES = [("all_kinds", "concat"), ("all_kinds", "dict"), ("integers", "dict")]
