"""The settings of a conversation in virtual time."""

from argparse import Namespace
from typing import Any

from app.settings import Settings


def settings_of(args: Namespace) -> Settings:
    """The app's own defaults, without the environment's; no greeting, and `--eagerness` where it is given.

    Raises SystemExit where the settings know no eagerness."""
    chosen: dict[str, Any] = {"greeting": False}
    if args.eagerness:
        if "eagerness" not in Settings.model_fields:
            raise SystemExit("this app has no setting named eagerness")
        chosen["eagerness"] = args.eagerness
    return Settings(_env_file=None, **chosen)  # type: ignore[call-arg]
