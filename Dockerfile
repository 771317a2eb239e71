# A static binary in an image without a shell, run by a user without rights.
FROM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=0.1.0-dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X github.com/recsys-benthos/recsys-benthos/cmd/recsys-benthos/commands.version=${VERSION}" \
      -o /out/recsys-benthos ./cmd/recsys-benthos \
 && mkdir -p /out/data

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/recsys-benthos /usr/local/bin/recsys-benthos
COPY --from=build --chown=nonroot:nonroot /out/data /data
COPY pipelines /app/pipelines
COPY config /app/config
WORKDIR /app
USER nonroot
ENV RECSYS_STATE=/data
VOLUME /data
EXPOSE 4195
# The live page listens on loopback unless told otherwise; inside a container
# that has to be every interface.
ENTRYPOINT ["/usr/local/bin/recsys-benthos"]
CMD ["up", "--state", "/data", "--listen", "0.0.0.0:4195"]
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
  CMD ["/usr/local/bin/recsys-benthos", "health"]
