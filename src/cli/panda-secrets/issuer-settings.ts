import type { ExternalIssuer } from '../../identity/external-issuer.ts';
import { Misconfigured } from '../../protocol/errors.ts';

const KEYS = ['issuer', 'audience', 'jwks_uri', 'id', 'name_claim', 'groups_claim', 'pilots'];

/**
 * The `[[issuers]]` tables of the configuration file:
 *
 *     [[issuers]]
 *     issuer = "https://iam.example.org/"
 *     audience = ["panda"]
 *     pilots = { "vo/pilot" = ["QUEUE_A", "QUEUE_B"] }   # groups whose members are pilots, and the queues that they serve
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
  const unknown = Object.keys(entries).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) {
    throw new Misconfigured(`${where} has an unknown key "${unknown}"; known are ${KEYS.join(', ')}`);
  }
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
  };
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
