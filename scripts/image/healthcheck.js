// The container's health: 0 where the server is ready for photos. Where it listens is read as the server reads it.
import { readSettings } from './dist/server/settings.js';

/** Listening on every interface is listening on this machine's own. */
const OWN = { '0.0.0.0': '127.0.0.1', '::': '::1' };

try {
  const { THINLENS_HOST, THINLENS_PORT } = process.env;
  const { host, port } = readSettings({}, { THINLENS_HOST, THINLENS_PORT });
  const address = OWN[host] ?? host;
  const url = `http://${address.includes(':') ? `[${address}]` : address}:${port}/readyz`;
  const { ok, status } = await fetch(url, { signal: AbortSignal.timeout(4000) });
  if (!ok) throw new Error(`${url} answers ${status}`);
  process.exit(0);
} catch (error) {
  console.error(error.cause?.message ?? error.message);
  process.exit(1);
}
