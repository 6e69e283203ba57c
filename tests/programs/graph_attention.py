"""Graph attention with segment sums and gather, on a made graph of citations."""
import os

os.environ["KERAS_BACKEND"] = "jax"

import keras
import numpy as np
from keras import layers, ops

rng = np.random.default_rng(20)
num_nodes, num_classes = 60, 3
classes = rng.integers(0, num_classes, num_nodes)
edges = np.array(
    [(a, b) for a in range(num_nodes) for b in range(num_nodes)
     if a != b and rng.uniform() < (0.2 if classes[a] == classes[b] else 0.02)]
)
node_states = (rng.uniform(size=(num_nodes, 12)) < 0.2 + 0.3 * np.eye(num_classes)[classes].repeat(4, 1))
node_states = node_states.astype("float32")
order = rng.permutation(num_nodes)
train_indices, test_indices = order[:40], order[40:]


class GraphAttention(layers.Layer):
    def __init__(
        self, units, kernel_initializer="glorot_uniform", kernel_regularizer=None, **kwargs
    ):
        super().__init__(**kwargs)
        self.units = units
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)

    def build(self, input_shape):
        self.kernel = self.add_weight(
            shape=(input_shape[0][-1], self.units),
            trainable=True,
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            name="kernel",
        )
        self.kernel_attention = self.add_weight(
            shape=(self.units * 2, 1),
            trainable=True,
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            name="kernel_attention",
        )
        self.built = True

    def call(self, inputs):
        node_states, edges = inputs
        node_states_transformed = ops.matmul(node_states, self.kernel)
        node_states_expanded = ops.take(node_states_transformed, edges, axis=0)
        node_states_expanded = ops.reshape(
            node_states_expanded, (ops.shape(edges)[0], -1)
        )
        attention_scores = ops.nn.leaky_relu(
            ops.matmul(node_states_expanded, self.kernel_attention)
        )
        attention_scores = ops.squeeze(attention_scores, -1)
        attention_scores = ops.exp(ops.clip(attention_scores, -2, 2))
        attention_scores_sum = ops.segment_sum(
            data=attention_scores, segment_ids=edges[:, 0], num_segments=num_nodes
        )
        attention_scores_sum = ops.take(attention_scores_sum, edges[:, 0])
        attention_scores_norm = attention_scores / attention_scores_sum
        node_states_neighbors = ops.take(node_states_transformed, edges[:, 1], axis=0)
        out = ops.segment_sum(
            data=node_states_neighbors * attention_scores_norm[:, np.newaxis],
            segment_ids=edges[:, 0],
            num_segments=num_nodes,
        )
        return out


class MultiHeadGraphAttention(layers.Layer):
    def __init__(self, units, num_heads=8, merge_type="concat", **kwargs):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.merge_type = merge_type
        self.attention_layers = [GraphAttention(units) for _ in range(num_heads)]

    def call(self, inputs):
        atom_features, pair_indices = inputs
        outputs = [
            attention_layer([atom_features, pair_indices])
            for attention_layer in self.attention_layers
        ]
        if self.merge_type == "concat":
            outputs = ops.concatenate(outputs, axis=-1)
        else:
            outputs = ops.mean(ops.stack(outputs, axis=-1), axis=-1)
        return keras.activations.relu(outputs)


class GraphAttentionNetwork(keras.Model):
    def __init__(self, node_states, edges, hidden_units, num_heads, num_layers, output_dim, **kwargs):
        super().__init__(**kwargs)
        self.node_states = node_states
        self.edges = edges
        self.preprocess = layers.Dense(hidden_units * num_heads, activation="relu")
        self.attention_layers = [
            MultiHeadGraphAttention(hidden_units, num_heads) for _ in range(num_layers)
        ]
        self.output_layer = layers.Dense(output_dim)

    def call(self, indices):
        x = self.preprocess(self.node_states)
        for attention_layer in self.attention_layers:
            x = attention_layer([x, self.edges]) + x
        outputs = self.output_layer(x)
        return ops.take(outputs, ops.squeeze(indices), axis=0)


gat_model = GraphAttentionNetwork(
    ops.convert_to_tensor(node_states), ops.convert_to_tensor(edges, "int32"), 4, 2, 2, num_classes
)
gat_model.compile(
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    optimizer=keras.optimizers.SGD(0.1, momentum=0.9),
    metrics=[keras.metrics.SparseCategoricalAccuracy(name="acc")],
)
early_stopping = keras.callbacks.EarlyStopping(
    monitor="val_acc", min_delta=1e-5, patience=5, restore_best_weights=True
)
history = gat_model.fit(
    x=train_indices, y=classes[train_indices], validation_split=0.1, batch_size=8, epochs=4,
    callbacks=[early_stopping], verbose=0,
)
print("loss", [round(v, 3) for v in history.history["loss"]])
_, test_accuracy = gat_model.evaluate(x=test_indices, y=classes[test_indices], verbose=0)
print("better than chance", test_accuracy > 0.4, len(gat_model.trainable_weights))
test_probs = gat_model.predict(x=test_indices, verbose=0)
print(test_probs.shape)
