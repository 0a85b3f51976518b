// The container's health: 0 where the server is ready for photos.
const port = process.env.THINLENS_PORT || 8080;
fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(4000) }).then(
  ({ ok }) => process.exit(ok ? 0 : 1),
  () => process.exit(1),
);
