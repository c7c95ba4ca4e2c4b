# Habeas with all extras. Build: docker build --tag habeas .
# The Python is the one that the pins in requirements/ were made with and all tests run on.
ARG PYTHON=3.11

FROM python:${PYTHON}-slim AS build
WORKDIR /build
RUN python -m venv /opt/habeas
COPY requirements/run.lock requirements/extras.lock requirements/
RUN /opt/habeas/bin/pip install --no-cache-dir -r requirements/run.lock -r requirements/extras.lock
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /opt/habeas/bin/pip wheel --no-deps --no-build-isolation --no-index --wheel-dir dist . && \
    /opt/habeas/bin/pip install --no-index dist/*.whl

FROM python:${PYTHON}-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/habeas --shell /usr/sbin/nologin habeas && \
    install -d -m 700 -o habeas /var/lib/habeas
COPY --from=build /opt/habeas /opt/habeas
ENV PATH=/opt/habeas/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HABEAS__DATA_DIR=/var/lib/habeas
USER 10001
WORKDIR /var/lib/habeas
VOLUME /var/lib/habeas
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/health', timeout=4)"]
ENTRYPOINT ["habeas"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8080"]
