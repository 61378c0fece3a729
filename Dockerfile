# Tidemark: a worker (the default) or any of its commands.
#   docker build -t tidemark:0.1.0 .
#   docker run --rm tidemark:0.1.0 --help

FROM node:24.21.0-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Without install scripts: they fetch a Node and a PostgreSQL that aren't needed here.
RUN npm ci --ignore-scripts
COPY . .
RUN npm run build

FROM node:24.21.0-bookworm-slim
ENV NODE_ENV=production
# The stores' certificates: the slim image has none for OpenSSL's own lookups.
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts && npm cache clean --force
COPY --from=build /app/dist dist
COPY bin bin
COPY LICENSE ./
# The state: this host's id, and the vault where the config names none.
RUN install -d -o node -g node /var/lib/tidemark
VOLUME /var/lib/tidemark
USER node
ENTRYPOINT ["node", "bin/tidemark.js", "--state", "/var/lib/tidemark", \
            "--config", "/etc/tidemark/tidemark.yaml"]
CMD ["worker"]
