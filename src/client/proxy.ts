import { Misconfigured, Unavailable } from '../protocol/errors.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** The proxy for https, as the environment names it. */
interface Proxy {
  /** `http://HOST:PORT`, with a login where one is given. */
  url: URL;
  /** The variable that names it. */
  variable: string;
}

const VARIABLES = ['https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY'];

/**
 * The proxy of the environment: the first of `https_proxy` and `all_proxy`, in small letters or capitals, that is set. One
 * without a scheme is an http proxy, as for curl.
 *
 * @throws {Misconfigured} when it is no http or https proxy
 */
function proxyOf(env: Environment): Proxy | undefined {
  const variable = VARIABLES.find((name) => env[name]);
  if (variable === undefined) return undefined;
  const value = env[variable] ?? '';
  const address = value.includes('://') ? value : `http://${value}`;
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    // The value is not shown: it may hold a password.
    throw new Misconfigured(`${variable} must be an http or https proxy, such as http://proxy.example.org:3128`);
  }
  return { url, variable };
}

/** The variables as Node's agent reads them, which knows neither `ALL_PROXY` nor an address without a scheme. */
export function proxyVariables(env: Environment): Record<string, string> {
  const proxy = proxyOf(env);
  const past = env['no_proxy'] || env['NO_PROXY'];
  return { ...(proxy && { https_proxy: proxy.url.href }), ...(past && { no_proxy: past }) };
}

/** An error on the way to a proxy, in words that name the proxy; undefined for any other error. */
export function explainProxyFailure(error: ConnectError, url: URL, env: Environment): Unavailable | undefined {
  if (url.protocol !== 'https:') return undefined;
  const proxy = proxyOf(env);
  if (!proxy || !isOfProxy(error, url, proxy.url)) return undefined;
  const { protocol, host } = proxy.url;
  const past = `NO_PROXY=${url.hostname} goes past it`;
  return new Unavailable(`the proxy ${protocol}//${host} (${proxy.variable}) ${reasonOf(error, url)}; ${past}`, {
    cause: error,
  });
}

type ConnectError = NodeJS.ErrnoException & { hostname?: string; port?: number; statusCode?: number };

function reasonOf({ code, statusCode }: ConnectError, { hostname, port }: URL): string {
  if (statusCode === 407) return 'asks for a login (HTTP 407): name it as http://USER:PASSWORD@HOST:PORT';
  if (statusCode !== undefined) return `does not connect to ${hostname}:${port || 443} (HTTP ${statusCode})`;
  if (code === 'ERR_PROXY_TUNNEL') return `does not connect to ${hostname}:${port || 443}`;
  if (code === 'ECONNREFUSED') return 'does not answer: nothing listens there';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'cannot be found: no such host name';
  return `cannot be reached (${code})`;
}

/** Errors of a connection tell the host name or the port that they are about. */
function isOfProxy({ code, hostname, port, syscall }: ConnectError, url: URL, proxy: URL): boolean {
  if (code === 'ERR_PROXY_TUNNEL') return true;
  if (hostname !== undefined) return hostname === proxy.hostname && hostname !== url.hostname;
  const proxyPort = Number(proxy.port || (proxy.protocol === 'https:' ? 443 : 80));
  return syscall === 'connect' && port === proxyPort && port !== Number(url.port || 443);
}
