"""Checks that a secret cannot be guessed by trying: everybody's tokens are signed with it."""

from itertools import pairwise

from pydantic import SecretStr

LENGTH = 32  # characters: 128 bits in hexadecimal digits
# Different pairs of neighbours: 32 random hexadecimal digits have 29 on average, and none of 200,000 had fewer than 22.
PAIRS = 20
STEPS = 8  # different distances between neighbours: "abcdef..." and "13579..." have one or two


def strong_secret(secret: SecretStr) -> SecretStr:
    """Returns a signing secret that cannot be guessed by trying. Raises ValueError for a weaker one, without telling the
    secret."""
    text = secret.get_secret_value()
    pairs = set(pairwise(text))
    steps = {ord(after) - ord(before) for before, after in pairs}
    varied = len(set(text)) >= LENGTH // 4 and len(pairs) >= PAIRS and len(steps) >= STEPS
    if text and (len(text) < LENGTH or not varied):
        make = "python -c 'import secrets; print(secrets.token_hex(32))'"
        raise ValueError(
            f"a secret is {LENGTH} random characters or more, neither repeated nor in a row; this makes one: {make}"
        )
    return secret
