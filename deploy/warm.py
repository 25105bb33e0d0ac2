"""`python -m deploy.warm`: computes what a first start computes from the weights and the built-in knowledge, and keeps it beside
them. An image that is read only has it from the start."""

import asyncio
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from app.settings import Settings
from languages import find
from services import embedded


async def main() -> None:
    """Computes it all."""
    settings = Settings()
    folder = settings.weights_dir
    services = embedded(folder, folder / "computed", find(settings.language))
    await asyncio.gather(*(service.warm() for service in services.all().values()))


if __name__ == "__main__":
    asyncio.run(main())
