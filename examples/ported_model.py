"""Was my model ported right? Three layers from torch to Keras and to JAX, compared by the names of their parameters."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import torch

import xcheck

keras.config.set_floatx("float64")
keras.config.set_dtype_policy("float64")
torch.manual_seed(0)
net = torch.nn.Sequential(
    torch.nn.Conv2d(2, 3, 3), torch.nn.Tanh(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(),
    torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2),
).double()  # fmt: skip
weights = {name: p.detach().numpy() for name, p in net.named_parameters()}

layers = keras.layers
model = keras.Sequential([
    keras.Input((5, 5, 2)), layers.Conv2D(3, 3, activation="tanh", name="conv"), layers.GlobalAveragePooling2D(),
    layers.Dense(4, activation="tanh", name="hidden"), layers.Dense(2, name="out"),
])  # fmt: skip
tree = {
    "conv": {"kernel": weights["0.weight"].transpose(2, 3, 1, 0), "bias": weights["0.bias"]},
    "hidden": {"kernel": weights["4.weight"].T, "bias": weights["4.bias"]},
    "out": {"kernel": weights["6.weight"].T, "bias": weights["6.bias"]},
}
model.set_weights([tree[layer][kind] for layer in tree for kind in ("kernel", "bias")])


def apply(tree, x):
    """Apply the model in JAX."""
    x = jax.lax.conv_general_dilated(
        x, tree["conv"]["kernel"], (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    x = jnp.tanh(x + tree["conv"]["bias"]).mean((1, 2))
    x = jnp.tanh(x @ tree["hidden"]["kernel"] + tree["hidden"]["bias"])
    return x @ tree["out"]["kernel"] + tree["out"]["bias"]


# From here on it is xcheck's: which name is which, and in which order of axes.
names = {
    "0.weight": ("conv/kernel", "OIHW->HWIO"), "0.bias": "conv/bias",
    "4.weight": ("hidden/kernel", "OI->IO"), "4.bias": "hidden/bias",
    "6.weight": ("out/kernel", "OI->IO"), "6.bias": "out/bias",
}  # fmt: skip
images = np.random.default_rng(0).normal(size=(2, 2, 5, 5))
implementations = {
    "torch": net,
    "tensorflow": xcheck.layout(model, inputs="NCHW->NHWC", names=names),
    "jax": xcheck.layout(apply, inputs="NCHW->NHWC", names=names, parameters=tree),
}
report = xcheck.crosscheck(implementations, images)
print(report)
# > crosscheck, float64: AGREE
# >   implementation  by itself  with torch          with tensorflow     with jax
# >   torch           agree      -                   agree               agree
# >                                                  value 15 digits     value 15 digits
# >                                                  Jacobian 15 digits  Jacobian 15 digits
# >   tensorflow      agree      agree               -                   agree
# >                              value 15 digits                         value same
# >                              Jacobian 15 digits                      Jacobian 15 digits
# >   jax             agree      agree               agree               -
# >                              value 15 digits     value same
# >                              Jacobian 15 digits  Jacobian 15 digits
# >   All agree, with each other and with finite differences of their own values.
# >   at        0.bias in [-0.1388, 0.158], 0.weight in [-0.2252, 0.2343], 4.bias in [-0.4449, 0.5544]; other points may differ
# >   cost      2259 evaluations, 9.4 s

# A kernel that was not scaled as it should be: its name is told.
tree["hidden"]["kernel"] = 1.01 * tree["hidden"]["kernel"]
wrong = xcheck.crosscheck(implementations, images, raises=False)
print(wrong)
# > crosscheck, float64: DISAGREE
# >   implementation  by itself  with torch          with tensorflow     with jax
# >   torch           agree      -                   agree               agree
# >                                                  value 15 digits     value 15 digits
# >                                                  Jacobian 15 digits  Jacobian 15 digits
# >   tensorflow      agree      agree               -                   agree
# >                              value 15 digits                         value same
# >                              Jacobian 15 digits                      Jacobian 15 digits
# >   jax             agree      agree               agree               -
# >                              value 15 digits     value same
# >                              Jacobian 15 digits  Jacobian 15 digits
# >   jax's parameters are others: 4.weight[0, 0] is -0.452099 in it and -0.447623 in torch. All were compared at torch's.
# >   at        0.bias in [-0.1388, 0.158], 0.weight in [-0.2252, 0.2343], 4.bias in [-0.4449, 0.5544]; other points may differ
# >   cost      2259 evaluations, 5.8 s
