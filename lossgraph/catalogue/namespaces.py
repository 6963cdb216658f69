"""The namespaces that losses are in, and the frameworks that these follow."""

NAMESPACES = {
    "gluon": "lossgraph.gluon",
    "losses": "lossgraph.losses",
    "nn": "lossgraph.nn",
    "optax": "lossgraph.optax",
}

# What is documented where its namespace comes from; the names are the same there.
FRAMEWORKS = {"gluon": "mxnet.gluon.loss", "nn": "torch.nn", "optax": "optax.losses"}
