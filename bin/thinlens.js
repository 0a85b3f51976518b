#!/usr/bin/env node
// The `thinlens` command. In a checkout it first compiles what is stale; an installed package carries dist/ alone.
import { existsSync } from 'node:fs';

const build = new URL('../scripts/build.js', import.meta.url);
if (existsSync(build)) await (await import(build.href)).buildIfStale();
await import('../dist/server/cli.js');
