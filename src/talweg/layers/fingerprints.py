"""Hashes of strings that agree with TensorFlow's, so that bins are those of Keras.

Sources: FarmHash, "farmhashna" (Pike, Google, 2014) for `fingerprint64`; Aumasson and
Bernstein, "SipHash: a fast short-input PRF", 2012, for `siphash64`; the mixing of two
fingerprints is that of TensorFlow's crossed columns.
"""

_MASK = (1 << 64) - 1
_K0 = 0xC3A5C85C97CB3127
_K1 = 0xB492B66FBE98F273
_K2 = 0x9AE16A3B2F90404F
_CAT = 0xC6A4A7935BD1E995


def _word(data: bytes, at: int, size: int = 8) -> int:
    return int.from_bytes(data[at : at + size], "little")


def _rotate(value: int, shift: int) -> int:
    """Rotate a 64-bit word to the right."""
    value &= _MASK
    return (value >> shift) | (value << (64 - shift)) & _MASK


def _shift_mix(value: int) -> int:
    value &= _MASK
    return value ^ (value >> 47)


def _mix(u: int, v: int, factor: int) -> int:
    a = _shift_mix(((u ^ v) & _MASK) * factor)
    b = _shift_mix((((v & _MASK) ^ a) & _MASK) * factor)
    return b * factor & _MASK


def _short(data: bytes) -> int:
    n = len(data)
    factor = (_K2 + 2 * n) & _MASK
    if n >= 8:
        a = _word(data, 0) + _K2
        b = _word(data, n - 8)
        c = _rotate(b, 37) * factor + a
        d = (_rotate(a, 25) + b) * factor
        return _mix(c, d, factor)
    if n >= 4:
        return _mix(n + (_word(data, 0, 4) << 3), _word(data, n - 4, 4), factor)
    if n:
        y = data[0] + (data[n >> 1] << 8)
        z = n + (data[-1] << 2)
        return _shift_mix(y * _K2 ^ z * _K0) * _K2 & _MASK
    return _K2


def _medium(data: bytes) -> int:
    """17 to 64 bytes."""
    n = len(data)
    factor = (_K2 + 2 * n) & _MASK
    a = _word(data, 0) * (_K1 if n <= 32 else _K2)
    b = _word(data, 8)
    c = _word(data, n - 8) * factor
    d = _word(data, n - 16) * _K2
    y = _rotate(a + b, 43) + _rotate(c, 30) + d
    z = a + _rotate(b + _K2, 18) + c
    if n <= 32:
        return _mix(y, z, factor)
    z = _mix(y, z, factor)
    e = _word(data, 16) * factor
    f = _word(data, 24)
    g = (y + _word(data, n - 32)) * factor
    h = (z + _word(data, n - 24)) * factor
    return _mix(_rotate(e + f, 43) + _rotate(g, 30) + h, e + _rotate(f + a, 18) + g, factor)


def _seeded(data: bytes, at: int, a: int, b: int) -> tuple[int, int]:
    """Two words from 32 bytes and two seeds."""
    w, x, y, z = (_word(data, at + 8 * i) for i in range(4))
    a += w
    b = _rotate(b + a + z, 21)
    c = a
    a += x + y
    b += _rotate(a, 44)
    return (a + z) & _MASK, (b + c) & _MASK


def _long(data: bytes) -> int:
    """More than 64 bytes, in blocks of 64."""
    n = len(data)
    x, y = 81, (81 * _K1 + 113) & _MASK
    z = _shift_mix(y * _K2 + 113) * _K2 & _MASK
    v, w = (0, 0), (0, 0)
    x = x * _K2 + _word(data, 0)
    end = (n - 1) // 64 * 64
    for at in range(0, end, 64):
        x = _rotate(x + y + v[0] + _word(data, at + 8), 37) * _K1
        y = _rotate(y + v[1] + _word(data, at + 48), 42) * _K1
        x = (x & _MASK) ^ w[1]
        y = (y + v[0] + _word(data, at + 40)) & _MASK
        z = _rotate(z + w[0], 33) * _K1 & _MASK
        v = _seeded(data, at, v[1] * _K1, x + w[0])
        w = _seeded(data, at + 32, z + w[1], y + _word(data, at + 16))
        z, x = x, z
    factor = (_K1 + ((z & 0xFF) << 1)) & _MASK
    at = n - 64
    w = (w[0] + ((n - 1) & 63), w[1])
    v = ((v[0] + w[0]) & _MASK, v[1])
    w = ((w[0] + v[0]) & _MASK, w[1])
    x = _rotate(x + y + v[0] + _word(data, at + 8), 37) * factor
    y = _rotate(y + v[1] + _word(data, at + 48), 42) * factor
    x = (x & _MASK) ^ (w[1] * 9 & _MASK)
    y = (y + v[0] * 9 + _word(data, at + 40)) & _MASK
    z = _rotate(z + w[0], 33) * factor & _MASK
    v = _seeded(data, at, v[1] * factor, x + w[0])
    w = _seeded(data, at + 32, z + w[1], y + _word(data, at + 16))
    z, x = x, z
    return _mix(
        _mix(v[0], w[0], factor) + _shift_mix(y) * _K0 + z, _mix(v[1], w[1], factor) + x, factor
    )


def fingerprint64(data: bytes) -> int:
    """FarmHash's 64-bit fingerprint, the same on every machine.

    >>> fingerprint64(b"") == _K2
    True
    """
    if len(data) <= 16:
        return _short(data)
    return _medium(data) if len(data) <= 64 else _long(data)


def siphash64(data: bytes, key: tuple[int, int]) -> int:
    """SipHash-2-4 of `data` under a key of two 64-bit words.

    >>> key = 0x0706050403020100, 0x0F0E0D0C0B0A0908
    >>> hex(siphash64(bytes(range(15)), key))  # the test vector of the paper
    '0xa129ca6149be45e5'
    """
    k0, k1 = (word & _MASK for word in key)
    state = [
        k0 ^ 0x736F6D6570736575,
        k1 ^ 0x646F72616E646F6D,
        k0 ^ 0x6C7967656E657261,
        k1 ^ 0x7465646279746573,
    ]

    def rounds(count: int) -> None:
        a, b, c, d = state
        for _ in range(count):
            a = (a + b) & _MASK
            b = _rotate(b, 51) ^ a
            a = _rotate(a, 32)
            c = (c + d) & _MASK
            d = _rotate(d, 48) ^ c
            a = (a + d) & _MASK
            d = _rotate(d, 43) ^ a
            c = (c + b) & _MASK
            b = _rotate(b, 47) ^ c
            c = _rotate(c, 32)
        state[:] = a, b, c, d

    whole = len(data) // 8 * 8
    words = [_word(data, at) for at in range(0, whole, 8)]
    words.append(_word(data, whole) | (len(data) & 0xFF) << 56)
    for word in words:
        state[3] ^= word
        rounds(2)
        state[0] ^= word
    state[2] ^= 0xFF
    rounds(4)
    return state[0] ^ state[1] ^ state[2] ^ state[3]


def concatenated(one: int, other: int) -> int:
    """The fingerprint of two fingerprints in order."""
    result = (one ^ _CAT) ^ (_shift_mix(other * _CAT) * _CAT & _MASK)
    return _shift_mix(_shift_mix(result * _CAT) * _CAT)
