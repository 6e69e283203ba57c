"""A first classifier on a table: loaded by numpy, JSON and weights on disk, best weights kept."""
import os
import tempfile
from numpy import loadtxt, random
from tensorflow.keras.models import Sequential, model_from_json
from tensorflow.keras.layers import Dense, Input
from tensorflow.keras.callbacks import ModelCheckpoint, EarlyStopping
from tensorflow.keras.optimizers import SGD

folder = tempfile.mkdtemp()
os.chdir(folder)
# a table as of pregnancies, glucose, pressure ... and diabetes or not
generator = random.RandomState(7)
rows = generator.normal(size=(240, 8))
outcome = (rows[:, 1] + rows[:, 5] + 0.5 * generator.normal(size=240) > 0).astype(int)
with open('pima-indians-diabetes.csv', 'w') as f:
    for row, label in zip(rows, outcome):
        f.write(','.join('%.3f' % value for value in row) + ',%d\n' % label)

# load the dataset
dataset = loadtxt('pima-indians-diabetes.csv', delimiter=',')
# split into input (X) and output (y) variables
X = dataset[:,0:8]
y = dataset[:,8]
# define the keras model
model = Sequential()
model.add(Input(shape=(8,)))
model.add(Dense(12, activation='relu'))
model.add(Dense(8, activation='relu'))
model.add(Dense(1, activation='sigmoid'))
# compile the keras model
model.compile(loss='binary_crossentropy', optimizer='adam', metrics=['accuracy'])
# checkpoints whose names carry the score
filepath = "weights-improvement-{epoch:02d}-{val_accuracy:.2f}.weights.h5"
checkpoint = ModelCheckpoint(filepath, monitor='val_accuracy', verbose=0, save_best_only=True,
                             save_weights_only=True, mode='max')
es = EarlyStopping(monitor='val_loss', mode='min', verbose=0, patience=4)
history = model.fit(X, y, validation_split=0.33, epochs=8, batch_size=10,
                    callbacks=[checkpoint, es], verbose=0)
print('Loss: %.3f' % history.history['loss'][-1])
files = sorted(name for name in os.listdir('.') if name.startswith('weights'))
print('kept', len(files) > 0, files[0][:23])
# evaluate the keras model
loss, accuracy = model.evaluate(X, y, verbose=0)
print('Loss: %.3f' % loss)
# make class predictions with the model
predictions = (model.predict(X, verbose=0) > 0.5).astype(int)
# serialize model to JSON and weights to HDF5
with open("model.json", "w") as json_file:
    json_file.write(model.to_json())
model.save_weights("model.weights.h5")
# later...
with open('model.json', 'r') as json_file:
    loaded_model_json = json_file.read()
loaded_model = model_from_json(loaded_model_json)
loaded_model.load_weights("model.weights.h5")
loaded_model.compile(loss='binary_crossentropy', optimizer='rmsprop', metrics=['accuracy'])
score = loaded_model.evaluate(X, y, verbose=0)
print("%s: %.3f" % ('loss', score[0]), abs(score[1] - accuracy) < 1e-6)
print('agree', (predictions == (loaded_model.predict(X, verbose=0) > 0.5).astype(int)).mean())
# one optimizer per try
for rate in [0.001, 0.1]:
    trial = Sequential([Input(shape=(8,)), Dense(4, activation='tanh'), Dense(1, activation='sigmoid')])
    trial.compile(loss='binary_crossentropy', optimizer=SGD(learning_rate=rate, momentum=0.8))
    history = trial.fit(X, y, epochs=3, batch_size=20, verbose=0)
    print('%.3f: %.3f' % (rate, history.history['loss'][-1]))
