# Two images from one build: `--target producer`, `--target worker`. Both hold `sluice`, too.

FROM rust:1.95-bookworm AS build
WORKDIR /sluice
COPY . .
RUN cargo build --release --locked --package sluice-cli --package sluice-producer \
        --package sluice-worker \
    && install -D --target-directory=/out \
        target/release/sluice target/release/sluice-producer target/release/sluice-worker

FROM debian:bookworm-slim AS base
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates curl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home --home-dir /var/lib/sluice sluice
ENV SLUICE_WORKER__DATA_DIR=/var/lib/sluice XDG_CACHE_HOME=/var/lib/sluice/cache

FROM base AS producer
COPY --from=build /out/sluice /out/sluice-producer /usr/local/bin/
USER sluice
EXPOSE 8080
ENTRYPOINT ["sluice-producer"]
CMD ["serve", "--config", "/etc/sluice/sluice.toml"]

# Debian 12's Python is 3.11. Projects bring their packages in virtual environments.
FROM base AS worker
RUN apt-get update \
    && apt-get install --yes --no-install-recommends bubblewrap git python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/sluice /out/sluice-worker /usr/local/bin/
USER sluice
EXPOSE 9464
ENTRYPOINT ["sluice-worker"]
CMD ["--config", "/etc/sluice/sluice.toml"]
