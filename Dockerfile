# The service with the released model baked in: docker build -t clinner .
FROM python:3.12-slim-bookworm AS build
WORKDIR /source
RUN python -m venv /opt/clinner
ENV PATH=/opt/clinner/bin:$PATH
COPY setup.cfg pyproject.toml README.md LICENSE constraints.txt ./
COPY spacy_clinner spacy_clinner
COPY packages packages
RUN pip install --no-cache-dir -c constraints.txt ".[cpu,serve]" packages/en_clinner_cpu-*.whl

FROM python:3.12-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin clinner
COPY --from=build /opt/clinner /opt/clinner
ENV PATH=/opt/clinner/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001
WORKDIR /tmp
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
# The key comes from the environment, CLINNER_API_KEY: arguments can be read by others.
ENTRYPOINT ["clinner", "serve"]
CMD ["en_clinner_cpu", "--host", "0.0.0.0", "--port", "8000"]
