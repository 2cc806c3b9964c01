/** A browser without a screen: it keeps cookies, follows redirects within the site, and sends forms. */
export interface Visitor {
  get(address: string): Promise<Visit>;
  submit(address: string, form: Record<string, string>, headers?: Record<string, string>): Promise<Visit>;
  /** The cookies that it keeps, as it sends them. */
  cookies(): string[];
}

/** Where the visitor ended, and what is there. */
export interface Visit {
  /** Of another site when a redirect leads there; that is not followed. */
  url: string;
  status: number;
  headers: Headers;
  html: string;
}

const MAX_REDIRECTS = 10;

/** @param home the origin of the site */
export function createVisitor(home: string): Visitor {
  const cookies = new Map<string, { value: string; path: string }>();

  async function visit(address: string, init: RequestInit & { headers: Record<string, string> }): Promise<Visit> {
    let url = new URL(address, home);
    let request = init;
    for (let count = 0; count < MAX_REDIRECTS; count++) {
      const answer = await fetch(url, {
        ...request,
        redirect: 'manual',
        headers: { accept: 'text/html', cookie: cookiesFor(url.pathname), ...request.headers },
      });
      for (const cookie of answer.headers.getSetCookie()) keep(cookie);
      const location = answer.headers.get('location');
      const html = await answer.text();
      if (location === null) return { url: url.href, status: answer.status, headers: answer.headers, html };
      url = new URL(location, url);
      if (url.origin !== new URL(home).origin)
        return { url: url.href, status: answer.status, headers: answer.headers, html };
      request = { headers: {} };
    }
    throw new Error(`${address} leads round in circles`);
  }

  function keep(cookie: string): void {
    const [pair = '', ...attributes] = cookie.split('; ');
    const [name = '', value = ''] = pair.split('=');
    const path = attributes.find((attribute) => attribute.startsWith('path='))?.slice(5) ?? '/';
    if (value === '') cookies.delete(`${name} ${path}`);
    else cookies.set(`${name} ${path}`, { value: pair, path });
  }

  function cookiesFor(path: string): string {
    return [...cookies.values()]
      .filter((cookie) => path.startsWith(cookie.path))
      .map(({ value }) => value)
      .join('; ');
  }

  return {
    get: (address) => visit(address, { headers: {} }),
    submit: (address, form, headers = {}) =>
      visit(address, { method: 'POST', body: new URLSearchParams(form), headers }),
    cookies: () => [...cookies.values()].map(({ value }) => value),
  };
}

/** The value of a hidden field of a page. */
export function hiddenField(html: string, name: string): string {
  return new RegExp(`name="${name}" value="([^"]*)"`).exec(html)?.[1] ?? '';
}
