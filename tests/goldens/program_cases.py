"""Which Keras each program of tests/programs is recorded with; see steady.py for the kinds.

A program that is not listed has its facts asserted in tests/compat/test_programs.py.
"""

REFERENCES = {
    "airline_windows": "keras2",
    "attention_translation": "keras",
    "boston_k_fold": "keras",
    "captcha_ctc": "tf.keras",
    "char_rnn": "tf.keras",
    "control_flow": "keras",
    "customer_tickets": "keras",
    "denoising_diffusion": "keras",
    "distillation": "keras",
    "encoder_decoder": "keras",
    "fashion_callbacks": "tf.keras",
    "first_network": "keras2",
    "grad_cam": "keras",
    "graph_attention": "keras",
    "housing_subclass": "tf.keras",
    "housing_wide_deep": "tf.keras",
    "imdb_multi_hot": "tf.keras",
    "jax_training_loop": "keras",
    "keras2_optimizers": "keras2",
    "keras3_custom": "keras",
    "loss_pictures": "keras",
    "low_light": "keras",
    "mini_gpt": "keras",
    "mlp_mixer": "keras",
    "mnist_convnet": "keras",
    "mnist_mlp_2016": "keras2",
    "monte_carlo_dropout": "keras",
    "one_cycle": "keras2",
    "own_layers": "tf.keras",
    "own_losses": "tf.keras",
    "own_optimizer": "keras",
    "own_train_step": "keras",
    "pima_sequential": "tf.keras",
    "rate_finder": "keras2",
    "rate_sweep": "keras2",
    "real_nvp": "keras",
    "reuters_topics": "keras",
    "schedules_by_callback": "tf.keras",
    "seq2seq_letters": "keras",
    "siamese": "keras2",
    "small_vit": "keras",
    "text_classification": "keras",
    "time_series": "tf.keras",
    "tokenizer_embeddings": "keras2",
    "transfer": "tf.keras",
    "two_views": "keras",
    "variational_autoencoder": "keras",
    "vector_quantizer": "keras",
    "vision_transformer": "keras",
    "wgan_gp": "keras",
    "windows_tf_data": "keras2",
    "xception_blocks": "keras",
}

# Those that take a moment and together touch most of what the programs use: they run by
# default, the others with the battery.
QUICK = (
    "control_flow",
    "first_network",
    "keras2_optimizers",
    "one_cycle",
    "own_layers",
    "tokenizer_embeddings",
    "windows_tf_data",
)

# Keras on JAX reads text with TensorFlow, too.
WITH_TENSORFLOW = ("attention_translation", "text_classification")
