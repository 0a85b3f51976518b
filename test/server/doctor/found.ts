import assert from 'node:assert/strict';
import type { Finding } from '../../../server/doctor/finding.ts';

/** The finding is of this state, with what to do where that is not ok. */
export function found(finding: Finding, state: Finding['state'], detail: RegExp, remedy?: RegExp): void {
  assert.equal(finding.state, state, JSON.stringify(finding));
  assert.match(finding.detail, detail);
  if (remedy) assert.match(finding.remedy ?? '', remedy);
  assert.equal(finding.remedy === undefined, state === 'ok');
  if (finding.remedy) assert.match(finding.remedy, /^[A-Z].*\.$/);
}
