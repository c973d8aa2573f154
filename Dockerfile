# syntax=docker/dockerfile:1
# One image with both programs: "api" (the default) and "worker". Nothing else is in it but the certificates of the public
# authorities, a wget for health checks and two empty directories; time zones are inside the programs.

FROM node:20-bookworm-slim AS page
WORKDIR /src
COPY web/package.json web/package-lock.json web/
RUN npm --prefix web ci --no-audit --no-fund
COPY web web
RUN npm --prefix web run build

FROM golang:1.26-bookworm AS programs
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY cmd cmd
COPY jobs jobs
COPY pkg pkg
COPY web/*.go web/
COPY --from=page /src/web/dist web/dist
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /out/ ./cmd/api ./cmd/worker
RUN mkdir -p /srv/exporthub/files /srv/exporthub/spool

FROM scratch
COPY --from=busybox:1.37.0-musl /bin/wget /bin/wget
COPY --from=programs /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=programs /out/api /out/worker /bin/
COPY --from=programs --chown=10001:10001 /srv/exporthub /srv/exporthub
# There is no /tmp: what has to be put down for a moment goes where there is room.
ENV PATH=/bin TMPDIR=/srv/exporthub/spool
ENV HTTP_ADDR=:8080 METRICS_ADDR=:9090 STORAGE_DIR=/srv/exporthub/files SPOOL_DIR=/srv/exporthub/spool
WORKDIR /srv/exporthub
USER 10001:10001
EXPOSE 8080 9090
CMD ["api"]
