"""Where the names of Keras and TensorFlow lead, in so far as talweg calls them otherwise.

The rule needs no table: `keras.X.Y` is `talweg.X.Y`, and `tensorflow.X` is
`talweg.compat.tensorflow.X`. Here stand the exceptions only.
"""

# What to write in the place of a tape, line by line.
GRADIENTS = """Gradients come from JAX, of a function of the weights. In the place of

    with tf.GradientTape() as tape:
        loss = loss_fn(y, model(x, training=True))
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))

write

    def loss_of(trainable, fixed, x, y):
        y_pred, fixed = model.stateless_call(trainable, fixed, x, training=True)
        return loss_fn(y, y_pred), fixed

    trainable = [v.value for v in model.trainable_variables]
    fixed = [v.value for v in model.non_trainable_variables]
    (loss, fixed), gradients = jax.value_and_grad(loss_of, has_aux=True)(trainable, fixed, x, y)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    for v, value in zip(model.non_trainable_variables, fixed):
        v.assign(value)

or leave the loop to fit() and override compute_loss, or train_step(state, data)."""

# Modules under another path, by prefix: the longest that fits is replaced.
MOVED = {
    "keras.api": "keras",
    "keras.src": "keras",
    "keras.engine": "keras",
    "keras.engine.base_layer": "keras",
    "keras.engine.input_layer": "keras",
    "keras.engine.sequential": "keras",
    "keras.engine.topology": "keras",
    "keras.engine.training": "keras",
    "keras.backend.tensorflow_backend": "keras.backend",
    "keras.backend.common": "keras.backend",
    "keras.experimental": "keras.optimizers.schedules",
    "keras.layers.advanced_activations": "keras.layers",
    "keras.layers.convolutional": "keras.layers",
    "keras.layers.core": "keras.layers",
    "keras.layers.embeddings": "keras.layers",
    "keras.layers.experimental": "keras.layers",
    "keras.layers.experimental.preprocessing": "keras.layers",
    "keras.layers.merge": "keras.layers",
    "keras.layers.noise": "keras.layers",
    "keras.layers.normalization": "keras.layers",
    "keras.layers.pooling": "keras.layers",
    "keras.layers.recurrent": "keras.layers",
    "keras.layers.wrappers": "keras.layers",
    "keras.optimizers.experimental": "keras.optimizers",
    "keras.optimizers.legacy": "keras.optimizers",
    "keras.utils.all_utils": "keras.utils",
    "keras.utils.data_utils": "keras.utils",
    "keras.utils.generic_utils": "keras.utils",
    "keras.utils.layer_utils": "keras.utils",
    "keras.utils.np_utils": "keras.utils",
    "keras.utils.vis_utils": "keras.utils",
    "tensorflow.compat.v1": "tensorflow",
    "tensorflow.compat.v2": "tensorflow",
    "tensorflow.config.experimental": "tensorflow.config",
    "tensorflow.config.optimizer": "tensorflow.config",
    "tensorflow.config.threading": "tensorflow.config",
    "tensorflow.data.experimental": "tensorflow.data",
    "tensorflow.dtypes": "tensorflow",
    "tensorflow.initializers": "keras.initializers",
    "tensorflow.keras": "keras",
    "tensorflow.losses": "keras.losses",
    "tensorflow.metrics": "keras.metrics",
    "tensorflow.optimizers": "keras.optimizers",
    "tensorflow.python.framework": "tensorflow",
    "tensorflow.python.framework.ops": "tensorflow",
    "tensorflow.python.keras": "keras",
}

# Further modules of talweg that answer for a module of Keras, after the rule's own.
ALSO = {
    "keras.backend": ("talweg.compat.backend",),
    "keras.config": ("talweg.core.config", "talweg.core.dtypes"),
    "keras.dtype_policies": ("talweg.core.dtypes",),
    "keras.mixed_precision": ("talweg.core.dtypes",),
    "keras.preprocessing": ("talweg.compat.series",),
    "keras.preprocessing.sequence": ("talweg.compat.series",),
    "keras.preprocessing.text": ("talweg.compat.text",),
    "keras.saving": ("talweg.core.serialization",),
}

# Single names that talweg spells otherwise: "module:name".
RENAMED = {
    "keras.constraints.max_norm": "talweg.constraints:MaxNorm",
    "keras.constraints.maxnorm": "talweg.constraints:MaxNorm",
    "keras.constraints.min_max_norm": "talweg.constraints:MinMaxNorm",
    "keras.constraints.non_neg": "talweg.constraints:NonNeg",
    "keras.constraints.nonneg": "talweg.constraints:NonNeg",
    "keras.constraints.unit_norm": "talweg.constraints:UnitNorm",
    "keras.constraints.unitnorm": "talweg.constraints:UnitNorm",
    "keras.dtype_policies.get": "talweg.core.dtypes:get_policy",
    "keras.mixed_precision.Policy": "talweg.core.dtypes:DTypePolicy",
    "keras.mixed_precision.global_policy": "talweg.core.dtypes:dtype_policy",
    "keras.mixed_precision.set_global_policy": "talweg.core.dtypes:set_dtype_policy",
    "tensorflow.constant_initializer": "talweg.initializers:Constant",
    "tensorflow.ones_initializer": "talweg.initializers:Ones",
    "tensorflow.random_normal_initializer": "talweg.initializers:RandomNormal",
    "tensorflow.random_uniform_initializer": "talweg.initializers:RandomUniform",
    "tensorflow.zeros_initializer": "talweg.initializers:Zeros",
}

# What to write where there is nothing to lead to, by the beginning of the name.
INSTEAD = {
    "keras.applications": "talweg brings no trained networks.",
    "keras.backend.function": "Call the model, or model.predict(x).",
    "keras.backend.get_session": "There are no sessions: values are read with K.get_value(x).",
    "keras.backend.gradients": "Write jax.grad(function)(x).",
    "keras.backend.set_session": "There are no sessions: leave the line out.",
    "keras.backend.tf": "Write import tensorflow as tf.",
    "keras.layers.Merge": "The layers are Add, Concatenate, Multiply, … of keras.layers.",
    "keras.preprocessing.image.ImageDataGenerator": (
        "Read folders with keras.utils.image_dataset_from_directory, and begin the model with the "
        "layers Rescaling, RandomFlip, RandomRotation, RandomTranslation, RandomZoom."
    ),
    "keras.utils.multi_gpu_model": "Leave it out.",
    "keras.wrappers": "Cross-validation over optimizers and rates is talweg.compare.",
    "tensorflow.GradientTape": GRADIENTS,
    "tensorflow.Session": "There are no sessions: values are there at once.",
    "tensorflow.contrib": "It left TensorFlow at version 2.",
    "tensorflow.data.TFRecordDataset": "Read the records yourself and give arrays to fit().",
    "tensorflow.distribute": "Leave the strategy out: the model trains on JAX's default device.",
    "tensorflow.estimator": "Write a Sequential model.",
    "tensorflow.global_variables_initializer": "Variables have their values from the start.",
    "tensorflow.layers": "The layers are in tf.keras.layers.",
    "tensorflow.nn.dropout": "Use the layer tf.keras.layers.Dropout.",
    "tensorflow.placeholder": "There are no placeholders: write a function, or a Sequential model.",
    "tensorflow.train": "The optimizers are in tf.keras.optimizers.",
    "tensorflow.py_function": "A step is compiled; compute the values before fit().",
    "tensorflow.numpy_function": "A step is compiled; compute the values before fit().",
    "tensorflow.random.Generator": "The source of seeds is keras.random.SeedGenerator.",
    "tensorflow.set_random_seed": "It is tf.random.set_seed.",
}

# The versions whose API is answered for; the local part says by whom.
VERSIONS = {"keras": "3.15.1", "tensorflow": "2.20.0"}
