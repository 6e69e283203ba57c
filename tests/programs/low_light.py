"""Low light: Zero-DCE with losses on pictures alone, MIRNet's blocks, a resizer that learns."""
import keras
import numpy as np
from keras import layers, ops


def build_dce_net():
    input_image = keras.Input(shape=[None, None, 3])
    conv1 = layers.Conv2D(8, (3, 3), strides=(1, 1), activation="relu", padding="same")(input_image)
    conv2 = layers.Conv2D(8, (3, 3), strides=(1, 1), activation="relu", padding="same")(conv1)
    conv3 = layers.Conv2D(8, (3, 3), strides=(1, 1), activation="relu", padding="same")(conv2)
    int_con1 = layers.Concatenate(axis=-1)([conv3, conv2])
    x_r = layers.Conv2D(24, (3, 3), strides=(1, 1), activation="tanh", padding="same")(int_con1)
    return keras.Model(inputs=input_image, outputs=x_r)


def color_constancy_loss(x):
    mean_rgb = ops.mean(x, axis=(1, 2), keepdims=True)
    mr, mg, mb = mean_rgb[:, :, :, 0], mean_rgb[:, :, :, 1], mean_rgb[:, :, :, 2]
    d_rg = ops.square(mr - mg)
    d_rb = ops.square(mr - mb)
    d_gb = ops.square(mb - mg)
    return ops.sqrt(ops.square(d_rg) + ops.square(d_rb) + ops.square(d_gb))


def exposure_loss(x, mean_val=0.6):
    x = ops.mean(x, axis=3, keepdims=True)
    mean = ops.average_pool(x, pool_size=4, strides=4, padding="valid")
    return ops.mean(ops.square(mean - mean_val))


def illumination_smoothness_loss(x):
    batch_size = ops.shape(x)[0]
    h_x = ops.shape(x)[1]
    w_x = ops.shape(x)[2]
    count_h = (ops.shape(x)[2] - 1) * ops.shape(x)[3]
    count_w = ops.shape(x)[2] * (ops.shape(x)[3] - 1)
    h_tv = ops.sum(ops.square((x[:, 1:, :, :] - x[:, : h_x - 1, :, :])))
    w_tv = ops.sum(ops.square((x[:, :, 1:, :] - x[:, :, : w_x - 1, :])))
    batch_size = ops.cast(batch_size, dtype="float32")
    count_h = ops.cast(count_h, dtype="float32")
    count_w = ops.cast(count_w, dtype="float32")
    return 2 * (h_tv / count_h + w_tv / count_w) / batch_size


class SpatialConsistencyLoss(keras.losses.Loss):
    def __init__(self, **kwargs):
        super().__init__(reduction="none")
        self.left_kernel = ops.convert_to_tensor(
            [[[[0]], [[0]], [[0]]], [[[-1]], [[1]], [[0]]], [[[0]], [[0]], [[0]]]], dtype="float32"
        )
        self.up_kernel = ops.convert_to_tensor(
            [[[[0]], [[-1]], [[0]]], [[[0]], [[1]], [[0]]], [[[0]], [[0]], [[0]]]], dtype="float32"
        )

    def call(self, y_true, y_pred):
        original_mean = ops.mean(y_true, 3, keepdims=True)
        enhanced_mean = ops.mean(y_pred, 3, keepdims=True)
        original_pool = ops.average_pool(original_mean, pool_size=2, strides=2, padding="valid")
        enhanced_pool = ops.average_pool(enhanced_mean, pool_size=2, strides=2, padding="valid")
        loss = 0.0
        for kernel in (self.left_kernel, self.up_kernel):
            d_original = ops.conv(original_pool, kernel, strides=(1, 1), padding="same")
            d_enhanced = ops.conv(enhanced_pool, kernel, strides=(1, 1), padding="same")
            loss += ops.square(d_original - d_enhanced)
        return loss


class ZeroDCE(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dce_model = build_dce_net()

    def compile(self, learning_rate, **kwargs):
        super().compile(**kwargs)
        self.optimizer = keras.optimizers.Adam(learning_rate=learning_rate)
        self.spatial_constancy_loss = SpatialConsistencyLoss(reduction="none")
        names = "total illumination_smoothness spatial_constancy color_constancy exposure"
        self.trackers = {n: keras.metrics.Mean(name=f"{n}_loss") for n in names.split()}

    @property
    def metrics(self):
        return list(self.trackers.values())

    def get_enhanced_image(self, data, output):
        x = data
        for i in range(0, 3 * 8, 3):
            r = output[:, :, :, i : i + 3]
            x = x + r * (ops.square(x) - x)
        return x

    def call(self, data):
        dce_net_output = self.dce_model(data)
        return self.get_enhanced_image(data, dce_net_output)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        output = self.dce_model(x)
        losses = {
            "illumination_smoothness": 20 * illumination_smoothness_loss(output),
            "spatial_constancy": ops.mean(self.spatial_constancy_loss(y_pred, x)),
            "color_constancy": 5 * ops.mean(color_constancy_loss(y_pred)),
            "exposure": 10 * ops.mean(exposure_loss(y_pred)),
        }
        total = sum(losses.values())
        for name, value in losses.items():
            self.trackers[name].update_state(value)
        self.trackers["total"].update_state(total)
        return total


rng = np.random.default_rng(12)
low_light = rng.uniform(0, 0.3, (48, 8, 8, 3)).astype("float32")
zero_dce_model = ZeroDCE()
zero_dce_model.compile(learning_rate=1e-3)
history = zero_dce_model.fit(
    low_light[:32], validation_data=(low_light[32:],), epochs=2, batch_size=8, verbose=0
)
for name in sorted(history.history):
    if name.startswith(("total", "expo", "val_total", "spatial")):
        print(name, [round(v, 4) for v in history.history[name]])
print("brighter", zero_dce_model.predict(low_light[:4], verbose=0).mean() > low_light[:4].mean())
zero_dce_model.dce_model.save_weights("dce.weights.h5")
before = zero_dce_model(low_light[:1])
zero_dce_model.dce_model.load_weights("dce.weights.h5")
print("same", bool(ops.all(before == zero_dce_model(low_light[:1]))))


# MIRNet's blocks
def selective_kernel_feature_fusion(f1, f2):
    channels = f1.shape[-1]
    combined = layers.Add()([f1, f2])
    gap = layers.GlobalAveragePooling2D()(combined)
    wise = layers.Reshape((1, 1, channels))(gap)
    compact = layers.Conv2D(channels // 2, kernel_size=(1, 1), activation="relu")(wise)
    d1 = layers.Conv2D(channels, kernel_size=(1, 1), activation="softmax")(compact)
    d2 = layers.Conv2D(channels, kernel_size=(1, 1), activation="softmax")(compact)
    return layers.Add()([f1 * d1, f2 * d2])


class ChannelPooling(layers.Layer):
    def __init__(self, axis=-1, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.axis = axis
        self.concat = layers.Concatenate(axis=self.axis)

    def call(self, inputs):
        average_pooling = ops.expand_dims(ops.mean(inputs, axis=-1), axis=-1)
        max_pooling = ops.expand_dims(ops.max(inputs, axis=-1), axis=-1)
        return self.concat([average_pooling, max_pooling])

    def get_config(self):
        config = super().get_config()
        config.update({"axis": self.axis})
        return config


def spatial_attention_block(input_tensor):
    compressed = ChannelPooling(axis=-1)(input_tensor)
    feature_map = layers.Conv2D(1, kernel_size=(1, 1))(compressed)
    feature_map = ops.sigmoid(feature_map)
    return input_tensor * feature_map


def channel_attention_block(input_tensor):
    channels = list(input_tensor.shape)[-1]
    average = layers.GlobalAveragePooling2D()(input_tensor)
    descriptor = ops.reshape(average, (-1, 1, 1, channels))
    activations = layers.Conv2D(filters=channels // 2, kernel_size=(1, 1), activation="relu")(descriptor)
    activations = layers.Conv2D(channels, kernel_size=(1, 1), activation="sigmoid")(activations)
    return input_tensor * activations


def charbonnier_loss(y_true, y_pred):
    return ops.mean(ops.sqrt(ops.square(y_true - y_pred) + ops.square(1e-3)))


def peak_signal_noise_ratio(y_true, y_pred):
    return ops.psnr(y_pred, y_true, max_val=1.0)


input_tensor = keras.Input(shape=[None, None, 3])
x1 = layers.Conv2D(8, kernel_size=(3, 3), padding="same")(input_tensor)
down = layers.MaxPooling2D(pool_size=(2, 2))(x1)
down = layers.Conv2D(8, 3, padding="same", activation="relu")(down)
up = layers.UpSampling2D(size=(2, 2), interpolation="bilinear")(down)
fused = selective_kernel_feature_fusion(x1, up)
dual = layers.Concatenate()([spatial_attention_block(fused), channel_attention_block(fused)])
skip = layers.Conv2D(3, kernel_size=(3, 3), padding="same")(dual)
output_tensor = layers.Add()([input_tensor, skip])
mirnet = keras.Model(input_tensor, output_tensor)
mirnet.compile(
    optimizer=keras.optimizers.Adam(learning_rate=1e-3),
    loss=charbonnier_loss, metrics=[peak_signal_noise_ratio],
)
history = mirnet.fit(
    low_light, low_light * 3, epochs=2, batch_size=16, verbose=0,
    callbacks=[keras.callbacks.ReduceLROnPlateau(
        monitor="loss", factor=0.5, patience=5, verbose=1, min_delta=1e-7, mode="max")],
)
print("charbonnier", [round(v, 4) for v in history.history["loss"]])
print("psnr", [round(v, 3) for v in history.history["peak_signal_noise_ratio"]])


# a resizer that learns, before a classifier
def conv_block(x, filters, kernel_size, strides, activation=layers.LeakyReLU(0.2)):
    x = layers.Conv2D(filters, kernel_size, strides, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    if activation:
        x = activation(x)
    return x


def get_learnable_resizer(filters=4, num_res_blocks=1, target=(6, 6)):
    inputs = layers.Input(shape=[None, None, 3])
    naive_resize = layers.Resizing(*target, interpolation="bilinear")(inputs)
    x = layers.Conv2D(filters, kernel_size=5, strides=1, padding="same")(inputs)
    x = layers.LeakyReLU(0.2)(x)
    x = layers.BatchNormalization()(x)
    bottleneck = layers.Resizing(*target, interpolation="bilinear")(x)
    x = conv_block(bottleneck, filters, 3, 1)
    x = conv_block(x, filters, 3, 1, None)
    x = layers.Add()([bottleneck, x])
    x = layers.Conv2D(filters=3, kernel_size=7, strides=1, padding="same")(x)
    final_resize = layers.Add()([naive_resize, x])
    return keras.Model(inputs, final_resize, name="learnable_resizer")


inputs = layers.Input((8, 8, 3))
x = layers.Rescaling(scale=1.0 / 255)(inputs)
x = get_learnable_resizer()(x)
x = layers.Flatten()(x)
outputs = layers.Dense(2, activation="softmax")(x)
model = keras.Model(inputs, outputs)
model.compile(
    loss=keras.losses.CategoricalCrossentropy(label_smoothing=0.1), optimizer="sgd", metrics=["accuracy"]
)
y = keras.utils.to_categorical(low_light.mean((1, 2, 3)) > 0.15)
history = model.fit(low_light * 255, y, epochs=2, batch_size=16, verbose=0)
print("resizer", [round(v, 4) for v in history.history["loss"]])
