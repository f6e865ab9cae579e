"""Small video-recognition models with temporal and frequency regularizers, in Keras 3."""
