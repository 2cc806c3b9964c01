/** Every answer of the API, errors included, with HTTP status 200 (PanDA's clients take other statuses for a broken line). */
export interface Envelope<T = unknown> {
  success: boolean;
  /** For a person; never a secret's value. */
  message: string;
  data: T;
}

export function succeeded<T>(data: T, message = ''): Envelope<T> {
  return { success: true, message, data };
}

export function refused(message: string, data: unknown = null): Envelope {
  return { success: false, message, data };
}
