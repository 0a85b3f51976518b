import { distance } from 'fastest-levenshtein';

// THINLENS_ variables of the environment that are no settings: whose they are, and what was meant.

/** The environment variable of a flag. */
export function environmentName(flag: string): string {
  return `THINLENS_${flag.toUpperCase().replaceAll('-', '_')}`;
}

/**
 * Whether Kubernetes put a variable into the pod, for a service whose name begins with thinlens: not meant for us, though one of
 * them (THINLENS_PORT=tcp://10.0.0.1:80) has the name of a setting. For each service there are NAME_SERVICE_HOST, NAME_SERVICE_PORT, one
 * NAME_SERVICE_PORT_PORTNAME a named port, and what Docker made of links: NAME_PORT, which is a URL, and for each port
 * NAME_PORT_80_TCP with its _PROTO, _PORT and _ADDR (kubernetes.io, "Accessing the Service", environment variables).
 */
export function isServiceLink(name: string, text: string): boolean {
  return SERVICE_LINK.test(name) || (SERVICE_URL.test(name) && /^(tcp|udp|sctp):\/\//.test(text));
}

const SERVICE_LINK =
  /^THINLENS(_[A-Z0-9_]+)?_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$/;
const SERVICE_URL = /^THINLENS(_[A-Z0-9_]+)?_PORT$/;

/** A name with more letters wrong than this is another name. */
const MOST_EDITS = 2;

/** Those of `known` that a mistyped variable is nearest to; none where it is like none of them. */
export function nearestVariables(variable: string, known: Iterable<string>): string[] {
  const typed = variable.toUpperCase();
  const near = [...known].map((name) => ({ name, edits: distance(typed, name) }));
  const least = Math.min(MOST_EDITS, ...near.map(({ edits }) => edits));
  return near.filter(({ edits }) => edits === least).map(({ name }) => name);
}
