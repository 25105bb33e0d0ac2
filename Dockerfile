# docker build -t parley .                              one node; `deploy/compose.yaml` starts two of them behind nginx
# docker build -t parley-ray --target ray .             a node of a Ray cluster, for deploy/kubernetes/rayservice.yaml
#
# It runs as nobody in particular (10001), writes to /data and /tmp alone, and fetches nothing at its start:
# docker run --read-only --tmpfs /tmp -v parley:/data -p 7860:7860 parley

FROM python:3.11-slim-bookworm AS packages
COPY requirements.txt requirements-ray.txt /src/
RUN python -m venv /opt/venv
RUN /opt/venv/bin/python -m pip install --no-cache-dir -r /src/requirements.txt

# Weights change more seldom than code, and are verified by their hashes. Layers keep times in whole seconds: the second run notes
# those, so that no start has to read all of it again.
FROM packages AS weights
WORKDIR /opt/parley
COPY languages /opt/parley/languages
COPY services /opt/parley/services
ENV PARLEY_WEIGHTS_DIR=/opt/weights HF_HUB_OFFLINE=1
RUN /opt/venv/bin/python -m services.weights
RUN find /opt/weights -type f -exec touch -d @1700000000 {} + && /opt/venv/bin/python -m services.weights
COPY configuration /opt/parley/configuration
COPY app /opt/parley/app
COPY documents /opt/parley/documents
COPY deploy /opt/parley/deploy
RUN /opt/venv/bin/python -m deploy.warm

FROM python:3.11-slim-bookworm AS node
COPY --from=packages /opt/venv /opt/venv
COPY --from=weights /opt/weights /opt/weights
COPY app.py parley.py /opt/parley/
COPY languages /opt/parley/languages
COPY documents /opt/parley/documents
COPY services /opt/parley/services
COPY vendors /opt/parley/vendors
COPY configuration /opt/parley/configuration
COPY app /opt/parley/app
COPY server /opt/parley/server
COPY deploy /opt/parley/deploy
RUN install -d -o 10001 -g 10001 /data && /opt/venv/bin/python -m compileall -q /opt/parley
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PARLEY_WEIGHTS_DIR=/opt/weights PARLEY_DATA_DIR=/data PARLEY_HOST=0.0.0.0 PARLEY_PORT=7860 \
    HF_HUB_OFFLINE=1 GRADIO_ANALYTICS_ENABLED=False GRADIO_TEMP_DIR=/tmp/gradio HOME=/tmp PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /opt/parley
VOLUME /data
EXPOSE 7860
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/healthz', timeout=4)"]
STOPSIGNAL SIGTERM
USER 10001:10001
CMD ["python", "app.py"]

# KubeRay's own probes want wget.
FROM node AS ray
USER 0
RUN apt-get update && apt-get install -y --no-install-recommends wget && rm -rf /var/lib/apt/lists/*
COPY requirements.txt requirements-ray.txt /src/
RUN /opt/venv/bin/python -m pip install --no-cache-dir -r /src/requirements-ray.txt
ENV PYTHONPATH=/opt/parley
HEALTHCHECK NONE
USER 10001:10001

# What is built when nothing is named.
FROM node
