"""A model with just what callbacks touch, so that ours and Keras's can be driven alike."""

import warnings

import numpy as np


class FakeModel:
    def __init__(self, optimizer=None, metrics=()):
        self.optimizer = optimizer
        self.metrics = list(metrics)
        self.stop_training = False
        self.weights = [np.zeros(2)]
        self.history = None

    def get_weights(self):
        return [w.copy() for w in self.weights]

    def set_weights(self, weights):
        self.weights = [np.array(w) for w in weights]


def drive(callback, curve, optimizer, monitor="val_loss", metrics=(), stop=True):
    """Run a callback over a curve; every epoch sets the weights to its number.

    Returns the rates at the epochs' ends, the logs, the epoch of the stop, the weights.
    """
    model = FakeModel(optimizer, metrics)
    callback.set_model(model)
    callback.set_params({"verbose": 0, "epochs": len(curve), "steps": 1})
    rates, logged, stopped = [], [], None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        callback.on_train_begin()
        for epoch, value in enumerate(curve):
            callback.on_epoch_begin(epoch)
            model.weights = [np.full(2, epoch, float)]
            logs = {"loss": 1.0} if value is None else {"loss": 1.0, monitor: value}
            callback.on_epoch_end(epoch, logs)
            rates.append(float(np.asarray(optimizer.learning_rate)) if optimizer else None)
            logged.append(logs.get("learning_rate"))
            if model.stop_training:
                stopped = epoch
                if stop:
                    break
        callback.on_train_end()
    return {"rates": rates, "logged": logged, "stopped": stopped, "weights": model.weights[0][0]}
