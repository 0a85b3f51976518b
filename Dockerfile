# thinlens as a container: docs/guides/container.md. The image is named by its tag; where it must never change unnoticed, add the
# digest that `docker buildx imagetools inspect node:20-bookworm-slim` prints.
FROM node:20-bookworm-slim AS build
WORKDIR /src
COPY . .
RUN npm ci --ignore-scripts --no-audit --no-fund
RUN sh scripts/image/assemble.sh /app

FROM node:20-bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends tini \
 && rm -rf /var/lib/apt/lists/* /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /opt/yarn* /usr/local/bin/yarn*
COPY --from=build /app /app
WORKDIR /app
ENV NODE_ENV=production THINLENS_HOST=0.0.0.0 THINLENS_PORT=8080 THINLENS_HOME=/app/models
EXPOSE 8080
USER 65534:65534
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["node", "healthcheck.js"]
ENTRYPOINT ["tini", "--"]
CMD ["node", "bin/thinlens.js", "serve"]
