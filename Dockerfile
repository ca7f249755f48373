# syntax=docker/dockerfile:1

# The first stage installs into a virtual environment that the second one copies: no pip cache, no build tool is left.
FROM python:3.11-slim AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
RUN python -m venv /opt/rgz-email
# The dependencies first, those of the extra `server` too: this layer lasts until the lock file changes.
COPY requirements.lock ./
RUN /opt/rgz-email/bin/python -m pip install --require-hashes --only-binary :all: -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY service ./service
RUN /opt/rgz-email/bin/python -m pip install --no-index --no-deps --no-build-isolation . \
    && /opt/rgz-email/bin/rgz-email serve --help >/dev/null

FROM python:3.11-slim
LABEL org.opencontainers.image.title="rgz-email" \
      org.opencontainers.image.description="E-mail templates as code: renders, sends and audits templated mail" \
      org.opencontainers.image.licenses="MIT"
# git: the commit that rendered a mail, and publishing into a checkout.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git \
    && rm -rf /var/lib/apt/lists/*
# A fixed number, so that a volume's owner is known.
RUN groupadd --gid 10001 rgz-email \
    && useradd --uid 10001 --gid rgz-email --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin rgz-email \
    && install -d -o rgz-email -g rgz-email -m 0700 /data
COPY --from=builder /opt/rgz-email /opt/rgz-email
COPY email_templates /app/templates/emails
ENV PATH=/opt/rgz-email/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    EMAIL_TEMPLATES_DIR=/app/templates/emails \
    EMAIL_DATA_DIR=/data
WORKDIR /app
USER rgz-email
VOLUME /data
EXPOSE 8000
# slim has no curl; urlopen raises, and so fails, for anything but a success.
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["rgz-email", "serve", "--host", "0.0.0.0"]
