/** Who is signed in. */
export interface Person {
  /** The login name. */
  name: string;
  displayName: string;
}
