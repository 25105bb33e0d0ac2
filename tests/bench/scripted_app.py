"""The application of `deploy/ray/conversations.py` with scripted services, for what is not about models."""

from deploy.ray.conversations import application
from tests.deploy.node import build

app = application(build)
