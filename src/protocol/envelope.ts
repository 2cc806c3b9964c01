/** Every answer of the API, errors included, with HTTP status 200 (PanDA's clients take other statuses for a broken line). */
export interface Envelope<T = unknown> {
  success: boolean;
  /** For a person; never a secret's value. */
  message: string;
  data: T;
}

export interface Success<T> extends Envelope<T> {
  success: true;
}

export interface Refusal extends Envelope {
  success: false;
}

export function succeeded<const T>(data: T, message = ''): Success<T> {
  return { success: true, message, data };
}

export function refused(message: string, data: unknown = null): Refusal {
  return { success: false, message, data };
}
