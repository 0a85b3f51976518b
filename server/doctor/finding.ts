/** What one check found. */
export interface Finding {
  readonly check: string;
  /** A problem keeps the server from starting or from doing all that it is asked; a warning does not. */
  readonly state: 'ok' | 'warning' | 'problem';
  readonly detail: string;
  /** A sentence that says what to do, of what is not ok. */
  readonly remedy?: string;
}

export const ok = (check: string, detail: string): Finding => ({ check, state: 'ok', detail });
export const warning = (check: string, detail: string, remedy: string): Finding => ({
  check,
  state: 'warning',
  detail,
  remedy,
});
export const problem = (check: string, detail: string, remedy: string): Finding => ({
  check,
  state: 'problem',
  detail,
  remedy,
});

/** What to do about a file of ours, or of a package that comes with it, that is damaged or not there. */
export const REINSTALL =
  'Install thinlens again; in a checkout run npm ci, of a container pull or build the image again.';

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
