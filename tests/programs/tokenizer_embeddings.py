"""Tokenizer, pad_sequences and a matrix of given embeddings that stays frozen: Keras 2."""
import numpy as np
from keras.preprocessing.text import Tokenizer, text_to_word_sequence, one_hot
from keras.preprocessing.sequence import pad_sequences, TimeseriesGenerator
from keras.models import Sequential
from keras.layers import Embedding, Flatten, Dense, Conv1D, GlobalMaxPooling1D
from keras.utils import to_categorical

docs = ['Well done!', 'Good work', 'Great effort', 'nice work', 'Excellent!',
        'Weak', 'Poor effort!', 'not good', 'poor work', 'Could have done better.']
labels = np.array([1, 1, 1, 1, 1, 0, 0, 0, 0, 0])

t = Tokenizer(oov_token='<none>')
t.fit_on_texts(docs)
vocab_size = len(t.word_index) + 1
print(vocab_size, t.word_index['work'], t.document_count, t.word_counts['done'], t.word_docs['poor'])
encoded_docs = t.texts_to_sequences(docs + ['Good unheard effort'])
print(encoded_docs[:3], encoded_docs[-1])
print(t.sequences_to_texts(encoded_docs[-1:]))
print(t.texts_to_matrix(['good good work'], mode='count').sum(), t.texts_to_matrix(docs, mode='tfidf').sum().round(3))
print(Tokenizer(num_words=3, char_level=True).__class__.__name__, text_to_word_sequence('A b, c!'))
few = Tokenizer(num_words=4)
few.fit_on_texts(docs)
print(few.texts_to_sequences(docs[:4]), few.texts_to_matrix(docs).shape)
print(len(one_hot('some words here', 50)))

max_length = 4
padded_docs = pad_sequences(encoded_docs[:10], maxlen=max_length, padding='post')
print(padded_docs[:2].tolist())

embedding_matrix = np.random.RandomState(5).normal(size=(vocab_size, 6))
model = Sequential()
model.add(Embedding(vocab_size, 6, weights=[embedding_matrix], input_length=max_length, trainable=False))
model.add(Flatten())
model.add(Dense(1, activation='sigmoid'))
model.compile(optimizer='adam', loss='binary_crossentropy', metrics=['acc'])
history = model.fit(padded_docs, labels, epochs=30, verbose=0)
print('loss', round(history.history['loss'][0], 4), round(history.history['loss'][-1], 4))
print('frozen', np.allclose(model.layers[0].get_weights()[0], embedding_matrix, atol=1e-6))

series = np.arange(20).reshape(20, 1) / 20.
generator = TimeseriesGenerator(series, series, length=4, batch_size=5)
x, y = generator[0]
print(len(generator), x.shape, y.ravel().round(2).tolist())
model = Sequential([Conv1D(4, 2, activation='relu', input_shape=(4, 1)), GlobalMaxPooling1D(), Dense(1)])
model.compile(optimizer='sgd', loss='mse')
history = model.fit(generator, epochs=2, verbose=0)
print('series', len(history.history['loss']), to_categorical([1], 3).tolist())
