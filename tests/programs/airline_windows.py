"""Passengers by month: look-back windows, scaled, an LSTM with memory between batches."""
import math

import numpy
from tensorflow.keras.models import Sequential
from tensorflow.keras.layers import Dense, LSTM

numpy.random.seed(7)
months = numpy.arange(96)
dataset = (110 + 2.2 * months + 25 * numpy.sin(months * 2 * numpy.pi / 12)).reshape(-1, 1).astype('float32')
low, high = dataset.min(), dataset.max()
dataset = (dataset - low) / (high - low)
train_size = 64
train, test = dataset[0:train_size, :], dataset[train_size:len(dataset), :]


# convert an array of values into a dataset matrix
def create_dataset(dataset, look_back=1):
    dataX, dataY = [], []
    for i in range(len(dataset) - look_back - 1):
        a = dataset[i:(i + look_back), 0]
        dataX.append(a)
        dataY.append(dataset[i + look_back, 0])
    return numpy.array(dataX), numpy.array(dataY)


look_back = 3
trainX, trainY = create_dataset(train, look_back)
testX, testY = create_dataset(test, look_back)
trainX = numpy.reshape(trainX, (trainX.shape[0], trainX.shape[1], 1))
testX = numpy.reshape(testX, (testX.shape[0], testX.shape[1], 1))
print(trainX.shape, testX.shape)

batch_size = 4
model = Sequential()
model.add(LSTM(4, batch_input_shape=(batch_size, look_back, 1), stateful=True))
model.add(Dense(1))
model.compile(loss='mean_squared_error', optimizer='adam')
for i in range(3):
    history = model.fit(trainX, trainY, epochs=1, batch_size=batch_size, verbose=0, shuffle=False)
    model.reset_states()
    print('loss %.5f' % history.history['loss'][0])
trainPredict = model.predict(trainX, batch_size=batch_size, verbose=0)
model.reset_states()
testPredict = model.predict(testX, batch_size=batch_size, verbose=0)
trainPredict = trainPredict * (high - low) + low
testPredict = testPredict * (high - low) + low
trainScore = math.sqrt(numpy.mean((trainPredict[:, 0] - (trainY * (high - low) + low)) ** 2))
testScore = math.sqrt(numpy.mean((testPredict[:, 0] - (testY * (high - low) + low)) ** 2))
print('Train Score: %.2f RMSE' % trainScore)
print('Test Score: %.2f RMSE' % testScore)
