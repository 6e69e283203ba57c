"""Old scripts: `import keras` and `import tensorflow as tf` answered by talweg.

`python -m talweg script.py` runs a script in this way. In a program of one's own:

    import talweg.compat
    talweg.compat.install()
    from keras.layers import Dense          # talweg.layers.Dense

Nothing of this is active on a plain `import talweg`.
"""

from talweg.compat.finder import install, uninstall
from talweg.compat.script import run_script

__all__ = ["install", "run_script", "uninstall"]
