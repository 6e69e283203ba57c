"""Sequence to sequence with LSTMs: teacher forcing, then the decoder alone, letter by letter."""
import numpy as np
from keras.models import Model
from keras.layers import Input, LSTM, Dense

# the task: a word of digits becomes the same word in letters, backwards
rng = np.random.RandomState(2)
input_texts, target_texts = [], []
for _ in range(96):
    digits = rng.randint(0, 4, size=3)
    input_texts.append("".join(map(str, digits)))
    target_texts.append("\t" + "".join("abcd"[d] for d in digits[::-1]) + "\n")

input_characters = sorted(set("".join(input_texts)))
target_characters = sorted(set("".join(target_texts)))
num_encoder_tokens, num_decoder_tokens = len(input_characters), len(target_characters)
max_encoder_seq_length = max(len(txt) for txt in input_texts)
max_decoder_seq_length = max(len(txt) for txt in target_texts)
input_token_index = {char: i for i, char in enumerate(input_characters)}
target_token_index = {char: i for i, char in enumerate(target_characters)}

encoder_input_data = np.zeros((96, max_encoder_seq_length, num_encoder_tokens), dtype="float32")
decoder_input_data = np.zeros((96, max_decoder_seq_length, num_decoder_tokens), dtype="float32")
decoder_target_data = np.zeros((96, max_decoder_seq_length, num_decoder_tokens), dtype="float32")
for i, (input_text, target_text) in enumerate(zip(input_texts, target_texts)):
    for t, char in enumerate(input_text):
        encoder_input_data[i, t, input_token_index[char]] = 1.
    for t, char in enumerate(target_text):
        decoder_input_data[i, t, target_token_index[char]] = 1.
        if t > 0:
            decoder_target_data[i, t - 1, target_token_index[char]] = 1.

latent_dim = 24
encoder_inputs = Input(shape=(None, num_encoder_tokens))
encoder = LSTM(latent_dim, return_state=True)
encoder_outputs, state_h, state_c = encoder(encoder_inputs)
encoder_states = [state_h, state_c]
decoder_inputs = Input(shape=(None, num_decoder_tokens))
decoder_lstm = LSTM(latent_dim, return_sequences=True, return_state=True)
decoder_outputs, _, _ = decoder_lstm(decoder_inputs, initial_state=encoder_states)
decoder_dense = Dense(num_decoder_tokens, activation="softmax")
decoder_outputs = decoder_dense(decoder_outputs)
model = Model([encoder_inputs, decoder_inputs], decoder_outputs)

model.compile(optimizer="rmsprop", loss="categorical_crossentropy", metrics=["accuracy"])
model.optimizer.learning_rate = 0.01
history = model.fit([encoder_input_data, decoder_input_data], decoder_target_data,
                    batch_size=16, epochs=40, validation_split=0.2, verbose=0)
print("loss", [round(loss, 3) for loss in history.history["loss"][:3]])
print("learned", history.history["accuracy"][-1] > 0.7)

# inference: the encoder's states start the decoder, which is fed its own letters
encoder_model = Model(encoder_inputs, encoder_states)
decoder_state_input_h = Input(shape=(latent_dim,))
decoder_state_input_c = Input(shape=(latent_dim,))
decoder_states_inputs = [decoder_state_input_h, decoder_state_input_c]
decoder_outputs, state_h, state_c = decoder_lstm(decoder_inputs,
                                                 initial_state=decoder_states_inputs)
decoder_outputs = decoder_dense(decoder_outputs)
decoder_model = Model([decoder_inputs] + decoder_states_inputs,
                      [decoder_outputs, state_h, state_c])


def decode_sequence(input_seq):
    states_value = encoder_model.predict(input_seq, verbose=0)
    target_seq = np.zeros((1, 1, num_decoder_tokens))
    target_seq[0, 0, target_token_index["\t"]] = 1.
    decoded_sentence = ""
    while True:
        output_tokens, h, c = decoder_model.predict([target_seq] + states_value, verbose=0)
        sampled_char = target_characters[np.argmax(output_tokens[0, -1, :])]
        decoded_sentence += sampled_char
        if sampled_char == "\n" or len(decoded_sentence) > max_decoder_seq_length:
            return decoded_sentence
        target_seq = np.zeros((1, 1, num_decoder_tokens))
        target_seq[0, 0, target_characters.index(sampled_char)] = 1.
        states_value = [h, c]


right = sum(decode_sequence(encoder_input_data[i:i + 1]) == target_texts[i][1:] for i in range(12))
print("words", right > 3)
