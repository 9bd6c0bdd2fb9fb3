# docker build -f deploy/worker.Dockerfile -t cleave-worker .
# docker run -d -p 7707:7707 -v cleave-worker:/data -e ADVERTISE=my.address.example:7707 cleave-worker
# docker exec ID cat /data/worker.link
FROM mcr.microsoft.com/dotnet/sdk:10.0 AS build
WORKDIR /src
COPY . .
RUN dotnet publish src/Cleave.Worker -c Release -o /app

FROM mcr.microsoft.com/dotnet/aspnet:10.0
COPY --from=build /app /app
COPY models/cleave-demo-24m.q8_0.gguf /models/model.gguf
RUN mkdir /data && chown $APP_UID /data && chmod 700 /data
VOLUME /data
USER $APP_UID
ENV MODEL=/models/model.gguf LAYERS=2..10 ADVERTISE=localhost:7707
EXPOSE 7707
# The bundled model is whole; for your own, mount a middle-only file (cleave export) and set MODEL.
ENTRYPOINT ["/bin/sh", "-c", "exec /app/cleave-worker --model \"$MODEL\" --layers \"$LAYERS\" --listen '*:7707' --advertise \"$ADVERTISE\" --key-dir /data --link-file /data/worker.link"]
