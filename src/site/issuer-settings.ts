import type { ExternalIssuer } from '../identity/external-issuer.ts';
import { Misconfigured } from '../protocol/errors.ts';

const KEYS = ['issuer', 'audience', 'jwks_uri', 'id', 'name_claim', 'groups_claim', 'pilots', 'operators', 'login'];
const LOGIN_KEYS = ['vo', 'client_id', 'client_secret'];

/**
 * The `[[issuers]]` tables of the configuration file:
 *
 *     [[issuers]]
 *     issuer = "https://iam.example.org/"
 *     audience = ["panda"]
 *     pilots = { "vo/pilot" = ["QUEUE_A", "QUEUE_B"] }   # groups whose members are pilots, and the queues that they serve
 *
 *     operators = ["vo/admin"]                           # groups whose members are operators
 *     login = { vo = "vo", client_id = "panda" }   # the VO whose members log in there; a client_secret if it needs one
 *
 * and optionally `jwks_uri`, `id`, `name_claim`, `groups_claim`.
 *
 * @throws {Misconfigured} naming the key
 */
export function parseIssuers(tables: unknown, file: string): ExternalIssuer[] {
  if (tables === undefined) return [];
  if (!Array.isArray(tables)) throw new Misconfigured(`"issuers" in ${file} must be tables: [[issuers]]`);
  return tables.map((table: unknown, index) => parseIssuer(table, `[[issuers]] number ${index + 1} in ${file}`));
}

function parseIssuer(table: unknown, where: string): ExternalIssuer {
  const entries = Object(table) as Record<string, unknown>;
  refuseUnknown(entries, KEYS, where);
  const optional = (key: string) =>
    entries[key] === undefined ? undefined : text(entries[key], `"${key}" of ${where}`);
  const [jwksUri, id, nameClaim, groupsClaim] = ['jwks_uri', 'id', 'name_claim', 'groups_claim'].map(optional);
  return {
    issuer: text(entries['issuer'], `"issuer" of ${where}`),
    audience: texts(entries['audience'], `"audience" of ${where}`),
    ...(jwksUri !== undefined && { jwksUri }),
    ...(id !== undefined && { id }),
    ...(nameClaim !== undefined && { nameClaim }),
    ...(groupsClaim !== undefined && { groupsClaim }),
    ...(entries['pilots'] !== undefined && { pilots: queuesByGroup(entries['pilots'], `"pilots" of ${where}`) }),
    ...(entries['operators'] !== undefined && { operators: texts(entries['operators'], `"operators" of ${where}`) }),
    ...(entries['login'] !== undefined && { login: parseLogin(entries['login'], `"login" of ${where}`) }),
  };
}

function parseLogin(table: unknown, where: string): NonNullable<ExternalIssuer['login']> {
  const entries = Object(table) as Record<string, unknown>;
  refuseUnknown(entries, LOGIN_KEYS, where);
  const secret = entries['client_secret'];
  return {
    vo: text(entries['vo'], `"vo" in ${where}`),
    clientId: text(entries['client_id'], `"client_id" in ${where}`),
    ...(secret !== undefined && { clientSecret: text(secret, `"client_secret" in ${where}`) }),
  };
}

function refuseUnknown(entries: Record<string, unknown>, known: readonly string[], where: string): void {
  const unknown = Object.keys(entries).find((key) => !known.includes(key));
  if (unknown === undefined) return;
  throw new Misconfigured(`${where} has an unknown key "${unknown}"; known are ${known.join(', ')}`);
}

function queuesByGroup(table: unknown, where: string): Record<string, string[]> {
  const entries = Object.entries(Object(table) as Record<string, unknown>);
  return Object.fromEntries(entries.map(([group, queues]) => [group, texts(queues, `${where}, group "${group}",`)]));
}

function text(value: unknown, where: string): string {
  if (typeof value === 'string' && value !== '') return value;
  throw new Misconfigured(`${where} must be a text that is not empty`);
}

function texts(value: unknown, where: string): string[] {
  const list = typeof value === 'string' ? [value] : value;
  if (Array.isArray(list) && list.length > 0 && list.every((one) => typeof one === 'string' && one !== '')) return list;
  throw new Misconfigured(`${where} must be a list of texts that is not empty`);
}
