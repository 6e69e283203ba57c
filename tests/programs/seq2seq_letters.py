"""Character-level sequence to sequence: an LSTM encoder, a decoder fed by its states, saved and taken apart."""
import keras
import numpy as np

rng = np.random.default_rng(7)
words = ["go", "run", "hi", "stop", "wait", "fire", "help", "jump"]
input_texts = [" ".join(rng.choice(words, 2)) for _ in range(60)]
target_texts = ["\t" + text[::-1].upper() + "\n" for text in input_texts]
input_characters = sorted({c for t in input_texts for c in t})
target_characters = sorted({c for t in target_texts for c in t})
num_encoder_tokens, num_decoder_tokens = len(input_characters), len(target_characters)
max_encoder = max(map(len, input_texts))
max_decoder = max(map(len, target_texts))
print(num_encoder_tokens, num_decoder_tokens, max_encoder, max_decoder)
input_token_index = {c: i for i, c in enumerate(input_characters)}
target_token_index = {c: i for i, c in enumerate(target_characters)}
encoder_input_data = np.zeros((60, max_encoder, num_encoder_tokens), dtype="float32")
decoder_input_data = np.zeros((60, max_decoder, num_decoder_tokens), dtype="float32")
decoder_target_data = np.zeros((60, max_decoder, num_decoder_tokens), dtype="float32")
for i, (input_text, target_text) in enumerate(zip(input_texts, target_texts)):
    for t, char in enumerate(input_text):
        encoder_input_data[i, t, input_token_index[char]] = 1.0
    encoder_input_data[i, t + 1 :, input_token_index[" "]] = 1.0
    for t, char in enumerate(target_text):
        decoder_input_data[i, t, target_token_index[char]] = 1.0
        if t > 0:
            decoder_target_data[i, t - 1, target_token_index[char]] = 1.0
    decoder_input_data[i, t + 1 :, target_token_index[" "]] = 1.0
    decoder_target_data[i, t:, target_token_index[" "]] = 1.0

latent_dim = 16
encoder_inputs = keras.Input(shape=(None, num_encoder_tokens))
encoder = keras.layers.LSTM(latent_dim, return_state=True)
encoder_outputs, state_h, state_c = encoder(encoder_inputs)
encoder_states = [state_h, state_c]
decoder_inputs = keras.Input(shape=(None, num_decoder_tokens))
decoder_lstm = keras.layers.LSTM(latent_dim, return_sequences=True, return_state=True)
decoder_outputs, _, _ = decoder_lstm(decoder_inputs, initial_state=encoder_states)
decoder_dense = keras.layers.Dense(num_decoder_tokens, activation="softmax")
decoder_outputs = decoder_dense(decoder_outputs)
model = keras.Model([encoder_inputs, decoder_inputs], decoder_outputs)
model.compile(optimizer="rmsprop", loss="categorical_crossentropy", metrics=["accuracy"])
history = model.fit(
    [encoder_input_data, decoder_input_data], decoder_target_data,
    batch_size=12, epochs=3, validation_split=0.2, verbose=0,
)
for name in ("loss", "accuracy", "val_loss"):
    print(name, [round(float(v), 4) for v in history.history[name]])
model.save("s2s_model.keras")

# inference: the layers are found again by their places in the loaded model
model = keras.models.load_model("s2s_model.keras")
encoder_inputs = model.input[0]
encoder_outputs, state_h_enc, state_c_enc = model.layers[2].output
encoder_model = keras.Model(encoder_inputs, [state_h_enc, state_c_enc])
decoder_inputs = model.input[1]
decoder_state_input_h = keras.Input(shape=(latent_dim,))
decoder_state_input_c = keras.Input(shape=(latent_dim,))
decoder_states_inputs = [decoder_state_input_h, decoder_state_input_c]
decoder_lstm = model.layers[3]
decoder_outputs, state_h_dec, state_c_dec = decoder_lstm(decoder_inputs, initial_state=decoder_states_inputs)
decoder_states = [state_h_dec, state_c_dec]
decoder_dense = model.layers[4]
decoder_outputs = decoder_dense(decoder_outputs)
decoder_model = keras.Model([decoder_inputs] + decoder_states_inputs, [decoder_outputs] + decoder_states)
reverse_target_char_index = {i: char for char, i in target_token_index.items()}


def decode_sequence(input_seq):
    states_value = encoder_model.predict(input_seq, verbose=0)
    target_seq = np.zeros((1, 1, num_decoder_tokens))
    target_seq[0, 0, target_token_index["\t"]] = 1.0
    decoded_sentence = ""
    while True:
        output_tokens, h, c = decoder_model.predict([target_seq] + states_value, verbose=0)
        sampled = int(np.argmax(output_tokens[0, -1, :]))
        decoded_sentence += reverse_target_char_index[sampled]
        if decoded_sentence[-1] == "\n" or len(decoded_sentence) > 6:
            return decoded_sentence, float(output_tokens.max())
        target_seq = np.zeros((1, 1, num_decoder_tokens))
        target_seq[0, 0, sampled] = 1.0
        states_value = [h, c]


for seq_index in range(2):
    decoded, confidence = decode_sequence(encoder_input_data[seq_index : seq_index + 1])
    print("decoded", repr(decoded), round(confidence, 4))
