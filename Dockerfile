# One static binary and nothing else. With SQLite, the default, everything is in the volume /data.

FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -o /latchkey . && mkdir /data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /latchkey /latchkey
COPY --from=build --chown=65532:65532 /data /data
USER 65532:65532
WORKDIR /data
VOLUME /data
ENV LATCHKEY_ADDR=:8080
EXPOSE 8080
ENTRYPOINT ["/latchkey"]
