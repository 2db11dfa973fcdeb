FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags=-s -o /out/ . ./deploy/secrets && mkdir /out/data

# Makes the secrets of docker-compose.cluster.yml; not in the image of the server.
FROM scratch AS secrets
COPY --from=build /out/secrets /make-secrets
ENTRYPOINT ["/make-secrets"]

FROM scratch
# Certificate authorities, for a lobby that is reached by rtmps.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/foyer /foyer
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
ENV FOYER_DATA=/data
VOLUME /data
EXPOSE 1935 8080
HEALTHCHECK --interval=3s --timeout=3s --start-period=5s CMD ["/foyer", "check"]
ENTRYPOINT ["/foyer"]
CMD ["serve"]
