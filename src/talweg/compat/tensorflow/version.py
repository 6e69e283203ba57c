"""`tf.version`."""

import talweg
from talweg.compat import names

VERSION = f"{names.VERSIONS['tensorflow']}+talweg{talweg.__version__}"
