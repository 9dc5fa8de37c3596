# One static binary and nothing else. With SQLite, the default, everything is in the volume /data.
#
#   docker build --build-arg VERSION=$(git describe --tags --always) -t latchkey .

FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-X github.com/latchkey/latchkey/app.stamp=$VERSION" -o /latchkey . && mkdir /data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /latchkey /latchkey
COPY --from=build --chown=65532:65532 /data /data
USER 65532:65532
WORKDIR /data
VOLUME /data
ENV LATCHKEY_ADDR=:8080
EXPOSE 8080
# Whether the process lives: orchestrators replace a container that does not, which does not help against a lost database.
HEALTHCHECK --interval=10s --timeout=6s --start-period=10s CMD ["/latchkey", "health"]
ENTRYPOINT ["/latchkey"]
