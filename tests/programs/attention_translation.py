"""Translation with attention: TextVectorization on both sides, a bidirectional encoder."""
import numpy as np
import keras
from keras import layers

words = {"i": "yo", "you": "tu", "see": "veo", "like": "quiero", "the": "el", "cat": "gato",
         "dog": "perro", "book": "libro", "red": "rojo", "big": "grande"}
rng = np.random.default_rng(12)
sentences_en, sentences_es = [], []
for _ in range(160):
    subject, verb = rng.choice(["i", "you"]), rng.choice(["see", "like"])
    noun, color = rng.choice(["cat", "dog", "book"]), rng.choice(["red", "big"])
    sentences_en.append(f"{subject} {verb} the {color} {noun}!")
    sentences_es.append(f"¡{words[subject]} {words[verb]} el {words[noun]} {words[color]}")

vocab_size, max_length, embed_size = 30, 10, 16
text_vec_layer_en = layers.TextVectorization(vocab_size, output_sequence_length=max_length)
text_vec_layer_es = layers.TextVectorization(vocab_size, output_sequence_length=max_length)
text_vec_layer_en.adapt(sentences_en)
text_vec_layer_es.adapt([f"startofseq {s} endofseq" for s in sentences_es])
print(*text_vec_layer_en.get_vocabulary()[:3], *text_vec_layer_es.get_vocabulary()[:5])

X = np.asarray(text_vec_layer_en(sentences_en))
X_dec = np.asarray(text_vec_layer_es([f"startofseq {s}" for s in sentences_es]))
Y = np.asarray(text_vec_layer_es([f"{s} endofseq" for s in sentences_es]))
print(X.shape, X[0].tolist()[5:], int(X_dec[0, 0]))

encoder_inputs = keras.Input(shape=(max_length,), dtype="int32")
decoder_inputs = keras.Input(shape=(max_length,), dtype="int32")
encoder_embeddings = layers.Embedding(vocab_size, embed_size, mask_zero=True)(encoder_inputs)
decoder_embeddings = layers.Embedding(vocab_size, embed_size, mask_zero=True)(decoder_inputs)
encoder = layers.Bidirectional(layers.LSTM(12, return_sequences=True, return_state=True))
encoder_outputs, *encoder_state = encoder(encoder_embeddings)
encoder_state = [layers.concatenate(encoder_state[::2], axis=-1),
                 layers.concatenate(encoder_state[1::2], axis=-1)]
decoder = layers.LSTM(24, return_sequences=True)
decoder_outputs = decoder(decoder_embeddings, initial_state=encoder_state)
attention_layer = layers.Attention()
attention_outputs = attention_layer([decoder_outputs, encoder_outputs])
Y_proba = layers.Dense(vocab_size, activation="softmax")(
    layers.Concatenate()([decoder_outputs, attention_outputs]))
model = keras.Model(inputs=[encoder_inputs, decoder_inputs], outputs=[Y_proba])
model.compile(loss="sparse_categorical_crossentropy", optimizer=keras.optimizers.Nadam(0.02),
              metrics=["accuracy"])
history = model.fit((X, X_dec), Y, epochs=3, batch_size=32, verbose=0)
print("loss", [round(loss, 3) for loss in history.history["loss"]])
model.fit((X, X_dec), Y, epochs=20, batch_size=32, verbose=0)


def translate(sentence_en):
    translation = ""
    spanish = text_vec_layer_es.get_vocabulary()
    for word_idx in range(max_length):
        X = np.asarray(text_vec_layer_en([sentence_en]))
        X_dec = np.asarray(text_vec_layer_es(["startofseq " + translation]))
        y_proba = model.predict((X, X_dec), verbose=0)[0, word_idx]
        predicted_word = spanish[int(np.argmax(y_proba))]
        if predicted_word == "endofseq":
            break
        translation += " " + predicted_word
    return translation.strip()


print(translate("you like the red dog!"))
