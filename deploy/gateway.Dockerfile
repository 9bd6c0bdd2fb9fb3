# docker build -f deploy/gateway.Dockerfile -t cleave-gateway .
# docker run -d -p 127.0.0.1:8080:8080 -e CLEAVE_WORKER='cleave://…' -e CLEAVE_GATEWAY__APIKEY="$(openssl rand -hex 24)" cleave-gateway
# Inside a container the server listens on every address of the container, so it needs a key; publish the port on
# 127.0.0.1 unless TLS stands before it.
FROM mcr.microsoft.com/dotnet/sdk:10.0 AS build
WORKDIR /src
COPY . .
RUN dotnet publish src/Cleave.Cli -c Release -o /app

FROM mcr.microsoft.com/dotnet/aspnet:10.0
COPY --from=build /app /app
USER $APP_UID
ENV CLEAVE_GATEWAY__HOST=0.0.0.0 CLEAVE_GATEWAY__PORT=8080
EXPOSE 8080
ENTRYPOINT ["/app/cleave", "serve", "--log", "json"]
