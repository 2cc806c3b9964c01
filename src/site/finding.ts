/** The subjects that the doctor looks at. */
export type CheckName =
  | 'files'
  | 'disk'
  | 'installation'
  | 'root keys'
  | 'schema'
  | 'clock'
  | 'audit'
  | 'storage'
  | 'orphans'
  | 'tls'
  | 'public url';

/** What was found of one subject, and what to do about it. */
export interface Finding {
  check: CheckName;
  /** `warning`: it works, and will not for ever. */
  state: 'fine' | 'warning' | 'wrong';
  what: string;
  /** For the operator; not for what is fine. */
  todo?: string;
  /** Mends it, where that harms nothing. @returns what was done */
  fix?: () => Promise<string>;
}
