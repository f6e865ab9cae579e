"""What layers that scale channels by computed numbers have in common."""

import keras

from keras_vidreg.layers._channels_last import ChannelsLast


class Gating(ChannelsLast):
    """A layer with `Dense` layers that are made in `build`, under the names in `dense`.

    Quantization changes their dtype policies, which are saved along.
    """

    dense: tuple[str, ...] = ()

    def get_build_config(self):
        config = super().get_build_config()
        if config is None:
            return None
        policies = {name: getattr(self, name).dtype_policy for name in self.dense}
        serialize = keras.dtype_policies.serialize
        return {**config, "policies": {name: serialize(p) for name, p in policies.items()}}

    def build_from_config(self, config):
        super().build_from_config(config)
        for name, policy in config.get("policies", {}).items():
            getattr(self, name).dtype_policy = keras.dtype_policies.get(policy)
