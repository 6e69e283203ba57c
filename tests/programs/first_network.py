import numpy as np

rng = np.random.default_rng(0)
X = rng.normal(size=(600, 20)).astype("float32")
y = (X @ rng.normal(size=20) > 0).astype("float32")
X_train, X_test, y_train, y_test = X[:400], X[400:], y[:400], y[400:]

from keras.models import Sequential
from keras.layers import Dense
from keras.optimizers import Adam, SGD

model = Sequential()
model.add(Dense(64, activation='relu', input_dim=20))
model.add(Dense(1, activation='sigmoid'))
model.compile(loss='binary_crossentropy', optimizer=Adam(), metrics=['accuracy'])
model.fit(X_train, y_train, epochs=50, batch_size=10)
loss, accuracy = model.evaluate(X_test, y_test)

print("loss", loss)
print("accuracy", accuracy)
