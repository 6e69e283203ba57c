"""Customer tickets: title, body and tags in; priority and department out; then reused."""
import keras
import numpy as np
from keras import layers

vocabulary_size, num_tags, num_departments = 40, 6, 4

title = keras.Input(shape=(vocabulary_size,), name="title")
text_body = keras.Input(shape=(vocabulary_size,), name="text_body")
tags = keras.Input(shape=(num_tags,), name="tags")
features = layers.Concatenate()([title, text_body, tags])
features = layers.Dense(32, activation="relu", name="dense_features")(features)
priority = layers.Dense(1, activation="sigmoid", name="priority")(features)
department = layers.Dense(num_departments, activation="softmax", name="department")(features)
model = keras.Model(inputs=[title, text_body, tags], outputs=[priority, department])

num_samples = 160
rng = np.random.default_rng(16)
title_data = rng.integers(0, 2, size=(num_samples, vocabulary_size)).astype("float32")
text_body_data = rng.integers(0, 2, size=(num_samples, vocabulary_size)).astype("float32")
tags_data = rng.integers(0, 2, size=(num_samples, num_tags)).astype("float32")
priority_data = rng.random(size=(num_samples, 1))
department_data = keras.utils.to_categorical(
    rng.integers(0, num_departments, size=num_samples), num_departments)

model.compile(optimizer="adam",
              loss=["mean_squared_error", "categorical_crossentropy"],
              metrics=[["mean_absolute_error"], ["accuracy"]])
history = model.fit([title_data, text_body_data, tags_data], [priority_data, department_data],
                    epochs=2, verbose=0)
print("lists", round(history.history["loss"][-1], 4))
priority_preds, department_preds = model.predict([title_data, text_body_data, tags_data], verbose=0)
print(priority_preds.shape, department_preds.shape)

model.compile(optimizer="adam",
              loss={"priority": "mean_squared_error", "department": "categorical_crossentropy"},
              loss_weights={"priority": 2.0, "department": 1.0},
              metrics={"priority": ["mean_absolute_error"], "department": ["accuracy"]})
model.fit({"title": title_data, "text_body": text_body_data, "tags": tags_data},
          {"priority": priority_data, "department": department_data}, epochs=1, verbose=0)
results = model.evaluate({"title": title_data, "text_body": text_body_data, "tags": tags_data},
                         {"priority": priority_data, "department": department_data},
                         verbose=0, return_dict=True)
for name in sorted(results):
    print(name, round(results[name], 3))

# the graph is data: layers can be listed, and outputs inside it used
print([layer.name for layer in model.layers if layer.name in ("tags", "dense_features", "priority")])
print(tuple(model.get_layer("dense_features").output.shape), model.get_layer("dense_features").input.shape[1])
features = model.get_layer("dense_features").output
difficulty = layers.Dense(3, activation="softmax", name="difficulty")(features)
new_model = keras.Model(inputs=[title, text_body, tags], outputs=[priority, department, difficulty])
outputs = new_model.predict([title_data, text_body_data, tags_data], verbose=0)
print([output.shape for output in outputs])
print("shared", np.allclose(outputs[0], model.predict(
    [title_data, text_body_data, tags_data], verbose=0)[0], atol=1e-6))
lines = []
new_model.summary(print_fn=lambda line, line_break=False: lines.append(line))
print("summary", "dense_features" in "\n".join(lines))
