"""Run in a process of its own: writes that fail, and processes killed while they write.

    python writes.py full FOLDER      at many limits on the size of a file
    python writes.py kill FOLDER      kill -9 at every step of a write
    python writes.py forever FOLDER   writes until it is killed

Prints what was wrong; nothing where all is as it should be.
"""

import os
import resource
import signal
import sys
from pathlib import Path

import numpy as np

import talweg
from talweg import callbacks, layers
from talweg.models import load_model

STEPS = ("open", "fsync", "replace", "replaced")


def made(value):
    model = talweg.Sequential([talweg.Input((40,)), layers.Dense(60), layers.Dense(1)])
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    for variable in model.weights:
        variable.assign(np.full(variable.shape, value, "f4"))
    return model


def checkpoint(model, path):
    saver = callbacks.ModelCheckpoint(path)
    saver.set_model(model)
    saver.on_epoch_end(0, {"loss": 1.0})


def restored(path):
    model = made(0.0)
    told = model.restore_state(path)
    assert told["epoch"] == 3
    return model


def weights_of(path):
    model = made(0.0)
    model.load_weights(path)
    return model


# How each kind is written and read back.
KINDS = {
    "a.keras": (lambda model, path: model.save(path), load_model),
    "b.weights.h5": (lambda model, path: model.save_weights(path), weights_of),
    "c.safetensors": (lambda model, path: model.save_weights(path), weights_of),
    "d.keras": (checkpoint, load_model),
    "latest.h5": (lambda model, path: model.backup_state(path, {"epoch": 3}), restored),
}


def values(model):
    return {float(number) for weights in model.get_weights() for number in weights.flat}


def full(folder):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    good, new = made(1.0), made(2.0)
    for name, (write, read) in KINDS.items():
        path = folder / name
        write(good, path)
        size, before = path.stat().st_size, path.read_bytes()
        for limit in sorted({0, 1, 8, 100, *np.linspace(0, size - 1, 12).astype(int).tolist()}):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            try:
                write(new, path)
                print(f"{name}: no error where {limit} of {size} bytes could be written")
            except OSError:
                pass
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
            if path.read_bytes() != before:
                print(f"{name}: lost at {limit} bytes")
        check(folder, name, read, {1.0})
        write(new, path)
        check(folder, name, read, {2.0})


def check(folder, name, read, expected):
    found = values(read(folder / name))
    if not found <= expected or len(found) != 1:
        print(f"{name}: holds {sorted(found)[:5]}, not {expected}")
    litter = [file.name for file in folder.iterdir() if file.name not in KINDS]
    if litter:
        print(f"{name}: leaves {litter}")


def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)


def killed_at(step):
    """Let the process die when it comes to a step of a write."""
    replace = os.replace
    if step == "open":  # amid the bytes: no more than so many can be written
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, resource.RLIM_INFINITY))
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    elif step == "fsync":
        os.fsync = die
    elif step == "replace":
        os.replace = die
    else:
        os.replace = lambda *names: (replace(*names), die())


def kill(folder):
    good, new = made(1.0), made(2.0)
    for name, (write, read) in KINDS.items():
        for step in STEPS:
            write(good, folder / name)
            child = os.fork()
            if child == 0:
                killed_at(step)
                write(new, folder / name)
                os._exit(0)
            _, status = os.waitpid(child, 0)
            if not os.WIFSIGNALED(status):
                print(f"{name}: was not killed at {step}")
            for file in folder.glob(".*.tmp"):
                file.unlink()
            check(folder, name, read, {2.0 if step == "replaced" else 1.0})


def forever(folder):
    models = [made(1.0), made(2.0)]
    for name, (write, _) in KINDS.items():
        write(models[0], folder / name)
    print("ready", flush=True)
    while True:
        for model in models:
            for name, (write, _) in KINDS.items():
                write(model, folder / name)


if __name__ == "__main__":
    {"full": full, "kill": kill, "forever": forever}[sys.argv[1]](Path(sys.argv[2]))
