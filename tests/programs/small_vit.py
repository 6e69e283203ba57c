"""ViT for small data: shifted patch tokenization, local self attention, warm-up and cosine."""
import os
os.environ["KERAS_BACKEND"] = "jax"
import math
import keras
import numpy as np
from keras import layers, ops

IMAGE_SIZE, PATCH_SIZE, NUM_PATCHES, DIM = 12, 3, 16, 8
rng = np.random.default_rng(1)
y = rng.integers(0, 3, 64)
x = (rng.uniform(0, 1, (64, IMAGE_SIZE, IMAGE_SIZE, 3)) + 0.3 * y[:, None, None, None]).astype("float32")


class ShiftedPatchTokenization(layers.Layer):
    def __init__(self, image_size=IMAGE_SIZE, patch_size=PATCH_SIZE, num_patches=NUM_PATCHES,
                 projection_dim=DIM, vanilla=False, **kwargs):
        super().__init__(**kwargs)
        self.vanilla = vanilla
        self.image_size = image_size
        self.patch_size = patch_size
        self.half_patch = patch_size // 2
        self.flatten_patches = layers.Reshape((num_patches, -1))
        self.projection = layers.Dense(units=projection_dim)
        self.layer_norm = layers.LayerNormalization(epsilon=1e-6)

    def crop_shift_pad(self, images, mode):
        if mode == "left-up":
            crop_height, crop_width = self.half_patch, self.half_patch
            shift_height, shift_width = 0, 0
        elif mode == "left-down":
            crop_height, crop_width = 0, self.half_patch
            shift_height, shift_width = self.half_patch, 0
        elif mode == "right-up":
            crop_height, crop_width = self.half_patch, 0
            shift_height, shift_width = 0, self.half_patch
        else:
            crop_height, crop_width = 0, 0
            shift_height, shift_width = self.half_patch, self.half_patch
        crop = ops.image.crop_images(
            images,
            top_cropping=crop_height,
            left_cropping=crop_width,
            target_height=self.image_size - self.half_patch,
            target_width=self.image_size - self.half_patch,
        )
        return ops.image.pad_images(
            crop,
            top_padding=shift_height,
            left_padding=shift_width,
            target_height=self.image_size,
            target_width=self.image_size,
        )

    def call(self, images):
        if not self.vanilla:
            images = ops.concatenate(
                [images] + [self.crop_shift_pad(images, mode=m)
                            for m in ("left-up", "left-down", "right-up", "right-down")],
                axis=-1,
            )
        patches = ops.image.extract_patches(
            images=images, size=(self.patch_size, self.patch_size),
            strides=[self.patch_size, self.patch_size], dilation_rate=1, padding="valid",
        )
        flat_patches = self.flatten_patches(patches)
        if not self.vanilla:
            tokens = self.layer_norm(flat_patches)
            tokens = self.projection(tokens)
        else:
            tokens = self.projection(flat_patches)
        return (tokens, patches)


class PatchEncoder(layers.Layer):
    def __init__(self, num_patches=NUM_PATCHES, projection_dim=DIM, **kwargs):
        super().__init__(**kwargs)
        self.num_patches = num_patches
        self.position_embedding = layers.Embedding(input_dim=num_patches, output_dim=projection_dim)
        self.positions = ops.arange(start=0, stop=self.num_patches, step=1)

    def call(self, encoded_patches):
        return encoded_patches + self.position_embedding(self.positions)


class MultiHeadAttentionLSA(layers.MultiHeadAttention):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.tau = keras.Variable(math.sqrt(float(self._key_dim)), trainable=True)

    def _compute_attention(self, query, key, value, attention_mask=None, training=None,
                           return_attention_scores=False):
        query = ops.multiply(query, 1.0 / self.tau)
        attention_scores = ops.einsum(self._dot_product_equation, key, query)
        attention_scores = self._masked_softmax(attention_scores, attention_mask)
        attention_scores_dropout = self._dropout_layer(attention_scores, training=training)
        attention_output = ops.einsum(self._combine_equation, attention_scores_dropout, value)
        return attention_output, attention_scores


diag_attn_mask = 1 - ops.eye(NUM_PATCHES)
diag_attn_mask = ops.cast([diag_attn_mask], dtype="int8")


def mlp(x, hidden_units, dropout_rate):
    for units in hidden_units:
        x = layers.Dense(units, activation="gelu")(x)
        x = layers.Dropout(dropout_rate)(x)
    return x


def create_vit_classifier(vanilla=False):
    inputs = layers.Input(shape=(IMAGE_SIZE, IMAGE_SIZE, 3))
    (tokens, _) = ShiftedPatchTokenization(vanilla=vanilla)(inputs)
    encoded_patches = PatchEncoder()(tokens)
    for _ in range(2):
        x1 = layers.LayerNormalization(epsilon=1e-6)(encoded_patches)
        if not vanilla:
            attention_output = MultiHeadAttentionLSA(num_heads=2, key_dim=DIM, dropout=0.1)(
                x1, x1, attention_mask=diag_attn_mask
            )
        else:
            attention_output = layers.MultiHeadAttention(num_heads=2, key_dim=DIM, dropout=0.1)(x1, x1)
        x2 = layers.Add()([attention_output, encoded_patches])
        x3 = layers.LayerNormalization(epsilon=1e-6)(x2)
        x3 = mlp(x3, [16, DIM], 0.1)
        encoded_patches = layers.Add()([x3, x2])
    representation = layers.LayerNormalization(epsilon=1e-6)(encoded_patches)
    representation = layers.Flatten()(representation)
    representation = layers.Dropout(0.5)(representation)
    logits = layers.Dense(3)(mlp(representation, [16], 0.5))
    return keras.Model(inputs=inputs, outputs=logits)


class WarmUpCosine(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, learning_rate_base, total_steps, warmup_learning_rate, warmup_steps):
        super().__init__()
        self.learning_rate_base = learning_rate_base
        self.total_steps = total_steps
        self.warmup_learning_rate = warmup_learning_rate
        self.warmup_steps = warmup_steps
        self.pi = ops.array(np.pi)

    def __call__(self, step):
        if self.total_steps < self.warmup_steps:
            raise ValueError("Total_steps must be larger or equal to warmup_steps.")
        cos_annealed_lr = ops.cos(
            self.pi
            * (ops.cast(step, dtype="float32") - self.warmup_steps)
            / ops.cast(self.total_steps - self.warmup_steps, "float32")
        )
        learning_rate = 0.5 * self.learning_rate_base * (1 + cos_annealed_lr)
        if self.warmup_steps > 0:
            if self.learning_rate_base < self.warmup_learning_rate:
                raise ValueError("Learning_rate_base must be larger")
            slope = (self.learning_rate_base - self.warmup_learning_rate) / self.warmup_steps
            warmup_rate = slope * ops.cast(step, "float32") + self.warmup_learning_rate
            learning_rate = ops.where(step < self.warmup_steps, warmup_rate, learning_rate)
        return ops.where(step > self.total_steps, 0.0, learning_rate)


for vanilla in (True, False):
    model = create_vit_classifier(vanilla)
    scheduled_lrs = WarmUpCosine(0.01, 10, 0.0, 3)
    model.compile(
        optimizer=keras.optimizers.AdamW(learning_rate=scheduled_lrs, weight_decay=1e-4),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    history = model.fit(x, y, batch_size=16, epochs=2, validation_split=0.25, verbose=0)
    print(vanilla, model.count_params(), len(model.trainable_variables))
    for name in ("loss", "val_loss"):
        print(name, [round(float(v), 4) for v in history.history[name]])
print("rates", [round(float(scheduled_lrs(s)), 5) for s in (0, 2, 5, 10, 12)])
tau = [v for v in model.trainable_variables if v.shape == ()]
print("tau", [round(float(v.numpy()), 4) for v in tau])
