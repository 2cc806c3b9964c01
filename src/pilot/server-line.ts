import { Unavailable } from '../protocol/errors.ts';

/**
 * A server whose pilot says when it was lost and when it was found again, once each, whichever of the calls noticed it.
 *
 * @param say for the operator, one line each
 */
export function tellOfLine<S extends object>(server: S, say: (text: string) => void): S {
  let lostAt: number | undefined;

  function lost(error: Unavailable): void {
    if (lostAt !== undefined) return;
    lostAt = Date.now();
    say(`lost the server, trying on: ${error.message}`);
  }

  function found(): void {
    if (lostAt === undefined) return;
    say(`found the server again after ${Math.round((Date.now() - lostAt) / 1000)} seconds`);
    lostAt = undefined;
  }

  return new Proxy(server, {
    get(target, name) {
      const method: unknown = Reflect.get(target, name);
      if (typeof method !== 'function') return method;
      return (...args: unknown[]) => {
        const answer: unknown = method.apply(target, args);
        if (!(answer instanceof Promise)) return answer;
        return answer.then(
          (value) => {
            found();
            return value;
          },
          (error) => {
            if (error instanceof Unavailable) lost(error);
            else found();
            throw error;
          },
        );
      };
    },
  });
}
