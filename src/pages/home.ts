import { type Html, html } from './html.ts';
import { type Page, page } from './page.ts';
import type { Person } from './person.ts';

/** A program or browser that is logged in as somebody, as its owner is shown it. Times are milliseconds since 1970 UTC. */
export interface ShownLogin {
  id: string;
  kind: 'program' | 'browser';
  program: string | null;
  device: string | null;
  address: string | null;
  createdAt: number;
  usedAt: number;
  /** It is the browser that is shown the page. */
  isThis: boolean;
}

/** For somebody who is not signed in: what this is, and where to go. */
export function welcomePage({ url }: { url: string }): Page {
  return page(
    'Secrets for your jobs',
    html`<h1>Secrets for your jobs</h1>
<p class="lead">Keep tokens, passwords and keys here. Your batch and grid jobs find them where they run, and their logs show <code>***</code> instead.</p>
<div class="buttons row"><a class="button" href="/sign-in">Sign in</a></div>
<p class="hint">Here you end logins and change your password. Secrets themselves are kept and shown by <code>pbook</code>, never by this page.</p>
<h2>From your terminal</h2>
<pre tabindex="0" aria-label="Commands to begin with"><code>export PANDA_URL_SSL=${url}
pbook login                      ${comment('# once; opens this site')}
pbook set_secret MY_TOKEN        ${comment('# asks for the value')}
prun --useSecrets --exec "python3 my_job.py" --outDS user.NAME.first</code></pre>
${documents()}`,
    { width: 'wide' },
  );
}

/** For somebody who is signed in: who they are, what is logged in as them, and where to go. */
export function homePage({
  person,
  logins,
  formToken,
  done,
}: {
  person: Person;
  logins: readonly ShownLogin[];
  formToken: string;
  /** The outcome of the form that led here. */
  done: string | undefined;
}): Page {
  return page(
    'Your account',
    html`<div class="title"><h1>${person.displayName}</h1><a href="/oidc/sign-out">Sign out</a></div>
<p class="lead">Signed in as <strong>${person.name}</strong></p>
${done !== undefined && html`<p class="told" role="status">${done}</p>`}
<h2>Logins</h2>
<p>These act as you. End one that you do not know, and change your password.</p>
<ul class="rows">${logins.map((login) => row(login, formToken))}</ul>
${
  logins.length > 1 &&
  html`<form method="post" action="/logins/end-all"><input type="hidden" name="form_token" value="${formToken}">
<button class="quiet small" type="submit">End all logins, this one too</button></form>`
}
<h2>Password</h2>
<p>A new password ends all logins.</p>
<div class="buttons row"><a class="button quiet small" href="/account/password">Change password</a></div>
${documents()}`,
    { width: 'wide' },
  );
}

function row(login: ShownLogin, formToken: string): Html {
  const { id, kind, program, device, address, createdAt, usedAt, isThis } = login;
  const name = kind === 'browser' ? (device ?? 'A browser') : (program ?? 'A program');
  return html`<li><div><p class="name">${name}${isThis && html` <span class="mark">this browser</span>`}</p>
<p class="hint">${kind === 'program' && device !== null && html`On ${device}. `}${address !== null && html`From ${address}. `}Since ${time(createdAt)}, last used ${time(usedAt)}.</p></div>
${isThis ? html`<a class="button quiet small" href="/oidc/sign-out">Sign out</a>` : endForm(id, name, formToken)}</li>`;
}

function endForm(id: string, name: string, formToken: string): Html {
  return html`<form method="post" action="/logins/end"><input type="hidden" name="form_token" value="${formToken}">
<input type="hidden" name="login" value="${id}"><button class="quiet small" type="submit" aria-label="End the login of ${name}">End</button></form>`;
}

function documents(): Html {
  return html`<h2>Documents</h2>
<ul class="links">${DOCUMENTS.map(({ href, text, about }) => html`<li><a href="${href}">${text}</a> <span class="aside">${about}</span></li>`)}</ul>`;
}

const DOCUMENTS = [
  { href: '/docs/using-secrets', text: 'Using secrets', about: 'set one, use it in a job, get it back' },
  { href: '/docs/user', text: 'For users', about: 'logging in, jobs, messages' },
  { href: '/api/v1/docs', text: 'The API', about: 'every call, for programs of your own' },
  { href: '/docs/operator', text: 'For operators', about: 'run a server, queues and pilots' },
  { href: '/docs/security', text: 'For security officers', about: 'who can read what' },
];

function time(milliseconds: number): Html {
  const text = new Date(milliseconds).toISOString();
  return html`<time datetime="${text}">${text.slice(0, 16).replace('T', ' ')} UTC</time>`;
}

function comment(text: string): Html {
  return html`<span class="comment">${text}</span>`;
}
