"""What layers that need the channels on the last axis have in common."""

import keras

from keras_vidreg._keras import nearest_operation

MOVE_AXES = ("Moveaxis", "Permute", "Reshape", "Swapaxes", "Transpose")


class ChannelsLast(keras.layers.Layer):
    """A layer that refuses a channels-first graph.

    The nearest layer before it that has a `data_format` says what the graph is; without one, a
    layer that has none itself (`follows_keras_json`) takes what `keras.json` says.
    """

    data_format = "channels_last"
    follows_keras_json = False

    def compute_output_spec(self, inputs, **kwargs):
        for x in keras.tree.flatten(inputs):
            if len(x.shape) > 3:
                self._refuse_channels_first(x)
        return super().compute_output_spec(inputs, **kwargs)

    def _refuse_channels_first(self, x):
        source = nearest_operation(x, _says_where_channels_are)
        found = getattr(source, "data_format", "channels_last")
        if source is None and self.follows_keras_json:
            found = keras.config.image_data_format()
        if found == "channels_first":
            origin = f"the output of `{source.name}`" if source else "an input, by keras.json,"
            raise ValueError(
                f"`{self.name}` needs the channels on the last axis. Received: {origin} of shape "
                f'{tuple(x.shape)} with data_format="channels_first". Build the model with '
                '"channels_last", or move the channels with `keras.ops.moveaxis(x, 1, -1)`.'
            )


def _says_where_channels_are(operation):
    return hasattr(operation, "data_format") or type(operation).__name__ in MOVE_AXES


def check_channels_last(data_format):
    if data_format not in (None, "channels_last"):
        raise ValueError(
            "`data_format` must be 'channels_last': move the channels to the last axis with "
            f"`keras.ops.moveaxis(x, 1, -1)`. Received: data_format={data_format!r}"
        )
