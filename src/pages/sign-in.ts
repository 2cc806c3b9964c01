import { type Html, html } from './html.ts';
import { complaint, type Page, page } from './page.ts';

/** Asks for name and password; the form goes to the page's own address. */
export function signInPage({
  purpose,
  cancel,
  name = '',
  wrong,
  status = 200,
  formTargets,
}: {
  /** The next step: "to continue to pbook". */
  purpose: string;
  /** Where somebody goes who does not sign in; without it the form is sent, with `action=cancel`. */
  cancel?: string;
  /** The name that was typed before. */
  name?: string;
  wrong?: string;
  status?: number;
  formTargets?: readonly string[];
}): Page {
  const invalid = wrong !== undefined && html` aria-invalid="true"`;
  const focus = html` autofocus`;
  return page(
    'Sign in',
    html`<h1>Sign in</h1>
<p class="lead">${purpose}</p>
${complaint(wrong)}
<form method="post">
<div class="field"><label for="name">Name</label>
<input id="name" name="name" type="text" value="${name}" autocomplete="username" autocapitalize="none" autocorrect="off" spellcheck="false" maxlength="64" required${invalid}${name === '' && focus}></div>
<div class="field"><label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required${invalid}${name !== '' && focus}></div>
<div class="buttons"><button type="submit" name="action" value="sign-in">Sign in</button>
${cancelled(cancel)}</div>
</form>
<p class="hint">Forgot your password? The operator of this server can give you a link to choose a new one.</p>`,
    { status, ...(formTargets && { formTargets }) },
  );
}

function cancelled(href: string | undefined): Html {
  if (href !== undefined) return html`<a class="button quiet" href="${href}">Cancel</a>`;
  return html`<button class="quiet" type="submit" name="action" value="cancel" formnovalidate>Cancel</button>`;
}
