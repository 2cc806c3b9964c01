import { MAX_PASSWORD_CHARS, MIN_PASSWORD_CHARS } from '../protocol/limits.ts';
import { html } from './html.ts';
import { complaint, notice, type Page, page } from './page.ts';

/** Asks for a new password, for the page's own address; and for the one before, where it is known. */
export function choosePasswordPage(
  account: string,
  {
    wrong,
    status = 200,
    current,
  }: {
    wrong?: string;
    status?: number;
    /** Set where the person is signed in: the mark that the form is of this browser's page. */
    current?: { formToken: string };
  } = {},
): Page {
  const invalid = wrong !== undefined && html` aria-invalid="true"`;
  const title = current ? 'Change password' : 'Choose a password';
  return page(
    title,
    html`<h1>${title}</h1>
<p class="lead">for the account <strong>${account}</strong></p>
${complaint(wrong)}
<form method="post">
<input type="text" name="username" value="${account}" autocomplete="username" hidden>
${
  current &&
  html`<input type="hidden" name="form_token" value="${current.formToken}">
<div class="field"><label for="current">Current password</label>
<input id="current" name="current" type="password" autocomplete="current-password" required autofocus${invalid}></div>`
}
<div class="field"><label for="password">New password</label>
<input id="password" name="password" type="password" autocomplete="new-password" minlength="${MIN_PASSWORD_CHARS}" maxlength="${MAX_PASSWORD_CHARS}" required${!current && html` autofocus`} aria-describedby="rule"${invalid}>
<p class="hint" id="rule">At least ${MIN_PASSWORD_CHARS} characters. Several words are easy to keep in mind.</p></div>
<div class="field"><label for="again">Repeat password</label>
<input id="again" name="again" type="password" autocomplete="new-password" required></div>
${current && html`<p class="hint">All your logins end, those of programs and of this browser too: log in again with the new password.</p>`}
<div class="buttons"><button type="submit">${current ? 'Change password' : 'Set password'}</button>
${current && html`<a class="button quiet" href="/">Cancel</a>`}</div>
</form>`,
    { status },
  );
}

export function passwordChosenPage(): Page {
  return notice(
    'Your password is set',
    html`Sign in with it here, or log in from your terminal: <code>pbook login</code>`,
    { good: true, links: [{ href: '/sign-in', text: 'Sign in' }] },
  );
}
